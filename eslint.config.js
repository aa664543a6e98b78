import neostandard from 'neostandard'
import { configs } from 'typescript-eslint'

/** Who may know whom: each room, and what of ours it may import beside itself. ARCHITECTURE.md says why. */
const rooms = {
  'src/metrics': ['errors'],
  'src/database': ['catalogue', 'metrics', 'open-list', 'scope', 'exemplars', 'given', 'spellings', 'errors'],
  'src/http': ['catalogue', 'metrics', 'open-list', 'exemplars', 'trouble', 'shadow', 'given', 'usage', 'error-type', 'errors'],
  'src/exposition': ['metrics', 'errors'],
  'src/endpoint': ['exposition', 'given', 'spellings', 'errors'],
  'src/testing': ['metrics', 'errors']
}

const importRules = Object.entries(rooms).map(([room, known]) => ({
  files: [`${room}/**/*.ts`],
  rules: { 'no-restricted-imports': ['error', { patterns: [{ regex: `^\\.\\./(?!(${known.join('|')})[./])`, message: `${room} may know ${known.join(', ')} and nothing else of ours.` }] }] }
}))

/** An adapter knows the catalogue and what stands under it; of the other adapters, only typeorm knows pg, whose pools it instruments. */
const adapterRule = (adapter, known = '(?!)') => ({
  files: [`adapters/${adapter}.ts`, `adapters/${adapter}/**/*.ts`],
  rules: {
    'no-restricted-imports': ['error', {
      patterns: [
        { regex: '^(\\.\\./)+src/(?!(catalogue|scope|exemplars|metrics|open-list|database|trouble|usage|shadow|error-type|given|spellings|errors)[./])', message: 'An adapter knows the catalogue, scope, exemplars, metrics, open-list, database, trouble, usage, shadow, error-type, given, spellings and errors.' },
        { regex: `^\\.\\./(?!(\\.\\./)?src/|\\.\\./src/|(${known})[./])`, message: 'Adapters do not know each other.' }
      ]
    }]
  }
})

export default [
  { ignores: ['**/dist/', '.tap/', 'node_modules/'] },
  ...neostandard({ ts: true }),
  ...configs.strict.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    rules: {
      '@typescript-eslint/unified-signatures': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      '@stylistic/quote-props': 'off'
    }
  },
  ...importRules,
  adapterRule('pg'),
  adapterRule('typeorm', 'pg')
]
