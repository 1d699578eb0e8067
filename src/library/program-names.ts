// The programs behind events, for users of the library.

export { type Program, ProgramNames } from '../wire/program-names.js';
