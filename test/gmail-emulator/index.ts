/** What the package exports to tests in JavaScript and TypeScript. */
export {
  DEFAULT_CLIENT,
  type EmulatorOptions,
  type GmailEmulator,
  startGmailEmulator,
} from "./emulator.ts";
export { createGmailModel, type GmailModel, type ModelOptions } from "./model.ts";
