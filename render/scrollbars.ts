// The table asks for the default of a CommonJS module, which a bundler gives it as Node does: the module itself.
export { Scrollbars as default } from './node_modules/react-custom-scrollbars-2'
