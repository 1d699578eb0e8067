// Giving up rights: a server that root starts becomes another user and keeps the capability for the table, nothing else. setpriv(1) of
// util-linux does that for a second process, which runs the same command; the first one waits for it.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { ConntrackError } from '../errors.js';

/** Rights that a server keeps. */
export interface Rights {
  readonly user: string;
  /** It enters other network namespaces: that takes much more. */
  readonly namespaces: boolean;
}

/** In the environment of the second process: the descriptor of what the first one has read for it. */
const HANDED = 'CONNTRACK_HANDED';
const HANDED_FD = 3;
/** Where a socket that a service manager opened is in the second process. */
export const PASSED_FD = 4;

export class PrivilegeError extends ConntrackError {
  readonly code = 'PRIVILEGES';
}

/** Whether this is the second process. What root starts is never that, whatever the environment says. */
export function isDemoted({ env, getuid }: NodeJS.Process): boolean {
  return env[HANDED] === String(HANDED_FD) && getuid!() !== 0;
}

/** What the first process has read for this one. */
export function handedSecrets(): unknown {
  const text = readFileSync(HANDED_FD, 'utf8');
  closeSync(HANDED_FD);
  return JSON.parse(text);
}

/** The command line that runs a program with fewer rights. */
export function demoted({ user, namespaces }: Rights, command: readonly string[]): readonly string[] {
  const kept = ['net_admin', ...(namespaces ? ['sys_admin', 'sys_ptrace'] : [])];
  const set = ['-all', ...kept.map((name) => `+${name}`)].join(',');
  return [
    'setpriv',
    `--reuid=${user}`,
    `--regid=${groupOf(user)}`,
    '--clear-groups',
    `--inh-caps=${set}`,
    `--ambient-caps=${set}`,
    `--bounding-set=${set}`,
    '--no-new-privs',
    '--pdeathsig=TERM',
    '--',
    ...command,
  ];
}

/** The number of the group of a user. @throws PrivilegeError */
function groupOf(user: string): string {
  const ask = (what: string) => spawnSync('id', [what, '--', user], { encoding: 'utf8' });
  const { status, stdout } = ask('-g');
  if (ask('-u').stdout?.trim() === '0')
    throw new PrivilegeError('root would keep its files without its rights', { hint: 'name another user with --user' });
  if (status !== 0) throw new PrivilegeError(`there is no user ${user}`, { hint: 'name one with --user' });
  return stdout.trim();
}

/** Whether rights can be given up here. @throws PrivilegeError */
export function checkDemotion(rights: Rights): void {
  const [program, ...words] = demoted(rights, ['true']);
  const { error, status, stderr } = spawnSync(program!, words, { encoding: 'utf8' });
  if (error) throw cannotRun(error);
  if (status !== 0) throw new PrivilegeError(`cannot give up the rights of root: ${stderr.trim()}`);
}

function cannotRun(cause: Error): PrivilegeError {
  return new PrivilegeError('cannot give up the rights of root: setpriv cannot be run', {
    hint: 'install util-linux, or start it as another user with CAP_NET_ADMIN (dist/systemd has a unit)',
    cause,
  });
}

/**
 * Runs the same command with fewer rights, hands it `secrets` and the socket of a service manager, and passes signals on.
 * @param launcher program and first arguments that run this command
 * @returns its exit status @throws PrivilegeError
 */
export function runDemoted(
  rights: Rights,
  host: NodeJS.Process,
  launcher: readonly string[],
  secrets: object,
  passed: number | undefined,
): Promise<number> {
  const [program, ...words] = demoted(rights, [...launcher, ...host.argv.slice(2)]);
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(program!, words, {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...(passed === undefined ? [] : [passed])],
      detached: true, // in a session of its own, so that it cannot type into the terminal of root
      env: { ...host.env, [HANDED]: String(HANDED_FD) },
    });
    const pass = (signal: NodeJS.Signals) => void child.kill(signal);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) host.on(signal, pass);
    child.on('error', (cause) => reject(cannotRun(cause)));
    child.on('exit', (status, signal) => resolve(signal ? 1 : (status ?? 1)));
    // Without one it cannot be run, which its error says.
    const pipe = child.stdio[HANDED_FD] as NodeJS.WritableStream | null | undefined;
    pipe?.on('error', () => {}); // its exit says more
    pipe?.end(JSON.stringify(secrets));
  });
}
