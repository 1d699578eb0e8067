// The programs behind events, for users of the library.

export { MOST_SAVED_BESIDE_OTHERS, type Program, ProgramNames } from '../wire/program-names.js';
