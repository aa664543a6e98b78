import neostandard from 'neostandard'
import { configs } from 'typescript-eslint'

/** Who may know whom: each room, and what of ours it may import beside itself. Data goes one way; ARCHITECTURE.md has the picture. */
const rooms = {
  'src/validation': [],
  'src/metrics': ['validation'],
  'src/catalogue': ['metrics'],
  'src/instrumentation': ['catalogue', 'metrics', 'validation'],
  'src/exposition': ['metrics', 'validation'],
  'src/tenancy': ['catalogue', 'exposition', 'instrumentation', 'metrics'],
  'src/processes': ['catalogue', 'exposition', 'metrics', 'validation'],
  'src/live': ['catalogue', 'exposition', 'metrics', 'runtime'],
  'src/endpoint': ['catalogue', 'exposition', 'instrumentation', 'live', 'metrics', 'processes', 'tenancy', 'validation'],
  'src/http': ['catalogue', 'instrumentation', 'metrics', 'validation'],
  'src/database': ['catalogue', 'instrumentation', 'metrics', 'validation'],
  'src/cache': ['catalogue', 'instrumentation', 'metrics', 'validation'],
  'src/outgoing': ['catalogue', 'instrumentation', 'metrics', 'validation'],
  'src/adapter': ['cache', 'catalogue', 'database', 'instrumentation', 'metrics', 'outgoing', 'validation'],
  'src/runtime': ['catalogue', 'instrumentation', 'metrics', 'validation'],
  'src/testing': ['metrics', 'validation']
}

/** The rooms with a face: whoever is outside imports that, and no file behind it. */
const FACE = { regex: '/(exposition|instrumentation|live|metrics|processes|testing)/(?!index[.])', message: 'This room has a face: import its index.' }

const restricted = (files, ...patterns) => ({ files, rules: { 'no-restricted-imports': ['error', { patterns }] } })

const roomRules = Object.entries(rooms).map(([room, known]) => {
  const up = ['src/catalogue', 'src/adapter'].includes(room) ? '\\./' : '\\.\\./'
  const others = known.length === 0 ? '' : `(?!(${known.join('|')})[./])`
  return restricted([`${room}/**/*.ts`, `${room}.ts`], { regex: `^${up}${others}`, message: `${room} may know ${known.join(', ') || 'nothing'} and nothing else of ours.` }, FACE)
})

/** An adapter stands on the public face and on nothing else of ours. Only typeorm knows other adapters: those of the drivers that it uses. */
const adapterRule = (adapter, known = '(?!)') => restricted(
  [`adapters/${adapter}.ts`, `adapters/${adapter}/**/*.ts`],
  { regex: '^(\\.\\./)+src/(?!adapter\\.js$)', message: "An adapter stands on 'src/adapter.js' and nothing else of ours." },
  { regex: `^\\.\\./(?!(\\.\\./)?src/|(${known})[./])`, message: 'Adapters do not know each other.' }
)

/** What runs in the browser knows the data that it shows, and nothing of Node. */
const browserRule = {
  files: ['src/live/browser/**/*.ts'],
  rules: {
    'no-restricted-imports': 'off',
    '@typescript-eslint/no-restricted-imports': ['error', {
      patterns: [
        { regex: '^(?!\\./|\\.\\./shape\\.js$|uplot$)', message: 'src/live/browser may know its own files, the types of shape.ts, and uPlot.' },
        { regex: '^\\.\\./shape\\.js$', allowTypeImports: true, message: 'Only the types of shape.ts: the browser has no code of the server.' }
      ]
    }]
  }
}

export default [
  { ignores: ['**/dist/', '.tap/', 'node_modules/', 'src/live/assets.ts'] },
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
  restricted(['src/*.ts'], FACE),
  ...roomRules,
  browserRule,
  ...['pg', 'mysql2', 'sqlite', 'cache', 'undici'].map((adapter) => adapterRule(adapter)),
  adapterRule('typeorm', 'pg|mysql2|sqlite')
]
