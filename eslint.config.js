import neostandard from 'neostandard'
import { configs } from 'typescript-eslint'

export default [
  { ignores: ['dist/', '.tap/', 'node_modules/', 'examples/*/dist/'] },
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
  }
]
