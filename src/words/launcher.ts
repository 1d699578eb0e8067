// How this command starts itself again: with fewer rights, or for work beside its own.

/** Program and first arguments; words follow. The standalone executable needs no script. */
export function launcherOf({ execPath, execArgv, argv }: NodeJS.Process): readonly string[] {
  const script = argv[1];
  const isExecutable = script === undefined || script.startsWith('/$bunfs/');
  return [execPath, ...execArgv, ...(isExecutable ? [] : [script])];
}
