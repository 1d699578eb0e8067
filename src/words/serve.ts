// `conntrack serve`: a live page, an API and metrics of the table.

import { readFileSync } from 'node:fs';
import { UsageError } from '../cli/usage-error.js';
import { ConntrackError } from '../errors.js';
import type { FlowHistory } from '../history/index.js';
import { returnFreedMemory } from '../library/index.js';
import { divideFilter } from '../meter/index.js';
import { safeJson, safeText } from '../safe-text.js';
import type { ListenPlace } from '../web/listeners.js';
import { checkDemotion, handedSecrets, isDemoted, PASSED_FD, runDemoted } from '../web/privileges.js';
import { ServeError } from '../web/serve-error.js';
import { checkOutside, serve } from '../web/server.js';
import {
  checkTls,
  isLocal,
  MAKE_TOKEN,
  makeToken,
  parsePlace,
  parseProxies,
  parseTop,
  readSecret,
  readToken,
  type Secrets,
} from '../web/server-options.js';
import type { LogEntry } from '../web/web-options.js';
import { abortBySignal } from './ending-signals.js';
import { launcherOf } from './launcher.js';
import { packageVersion } from './package-version.js';
import type { Word, WordContext } from './run-word.js';
import { expressionOf } from './word-filter.js';
import type { WordLine } from './word-line.js';
import { openNamespaces } from './word-namespaces.js';
import { isGiven, millisecondsOf, numberOf, textOf } from './word-values.js';

export const word: Word = async (line, context) => {
  const { err, host } = context;
  const expression = expressionOf(line.operands, context);
  const { scope, rest } = expression === undefined ? {} : divideFilter(expression);
  if (rest !== undefined)
    throw new UsageError(`serve: the scope can only have what never changes in a flow, not: ${rest}`, {
      hint: 'filter with it on the page',
    });
  const passed = passedSocket(host);
  const places = passed ? [passed] : placesOf(line);
  const netns = textOf(line, 'netns');
  const options = {
    interval: millisecondsOf(line, 'every') ?? (isGiven(line, 'metrics-only') ? 10_000 : 2000),
    share: (numberOf(line, 'share', 0.1, 100) ?? 25) / 100,
    maxStreams: numberOf(line, 'max-streams', 1, 10_000, true),
    allowChanges: isGiven(line, 'allow-changes'),
    basePath: basePathOf(line),
    hosts: (line.values['host'] as readonly string[] | undefined) ?? [],
    auth: !isGiven(line, 'no-auth'),
    trustProxy: parseProxies((line.values['trust-proxy'] as readonly string[] | undefined) ?? []),
    metricsOnly: isGiven(line, 'metrics-only'),
    metricsOpen: isGiven(line, 'metrics-open'),
    metricsTop: parseTop((line.values['metrics-top'] as readonly string[] | undefined) ?? []),
    plain: isGiven(line, 'plain-http'),
  };
  const secure = textOf(line, 'tls-cert') !== undefined;
  if (secure !== (textOf(line, 'tls-key') !== undefined)) throw new UsageError('--tls-cert and --tls-key need each other');
  if (!places.every(isLocal)) checkOutside(options.auth, options.plain || secure);
  const secrets = isDemoted(host) ? (handedSecrets() as Secrets) : secretsOf(line, context);
  if (host.getuid!() === 0) {
    const rights = { user: textOf(line, 'user') ?? 'nobody', namespaces: netns !== undefined };
    if (isGiven(line, 'check')) checkDemotion(rights);
    else {
      if (netns !== undefined) err('conntrack: serve: warning: --netns needs CAP_SYS_ADMIN, which is kept');
      return runDemoted(rights, host, launcherOf(host), secrets, passed?.fd);
    }
  }
  const { conntracks, complete, lookAgain } = await openNamespaces(netns);
  for (const conntrack of conntracks.values()) await conntrack.count();
  const history = await historyOf(textOf(line, 'history'));
  if (isGiven(line, 'check')) return complete ? 0 : 1;
  returnFreedMemory();
  const abort = abortBySignal(host);
  const log = logger(textOf(line, 'log') === 'json', context);
  const listening = (urls: readonly string[]) => {
    for (const url of urls) err(`conntrack: ${withToken(url, secrets, options.allowChanges)}`);
    if (!options.auth) err('conntrack: serve: warning: no token is needed (--no-auth)');
  };
  const umask = (mask: number) => host.umask(mask);
  const namespaceFailed = (name: string | undefined, error: ConntrackError) =>
    err(safeText(`conntrack: serve: ${name === undefined ? '' : `${name}: `}${error.message}`));
  const more = { history, lookAgain, namespaceFailed };
  await serve(
    conntracks,
    { ...options, ...more, places, secrets, scope, umask, log, listening, version: packageVersion() },
    abort.signal,
  );
  return 0;
};

/** The record that is read, if there is one. It is read by whoever serves, without the rights of root. @throws ServeError */
async function historyOf(directory: string | undefined): Promise<FlowHistory | undefined> {
  if (directory === undefined) return undefined;
  const { openHistory } = await import('../history/index.js');
  try {
    return await openHistory(directory);
  } catch (error) {
    if (!(error instanceof ConntrackError)) throw error;
    throw new ServeError(`--history: ${error.message}`, {
      hint: error.hint ?? 'name with --user who may read it, such as the group or the user of the recorder',
    });
  }
}

/** The first descriptor that a service manager passes. */
const FIRST_PASSED = 3;

/** The socket that a service manager opened for this process, or for the one that has given up its rights. Source: sd_listen_fds(3). */
function passedSocket(host: NodeJS.Process): { readonly kind: 'descriptor'; readonly fd: number } | undefined {
  const { LISTEN_FDS: count, LISTEN_PID: pid } = host.env;
  const second = isDemoted(host);
  if (count === undefined || (pid !== undefined && pid !== String(second ? host.ppid : host.pid))) return undefined;
  if (count !== '1') throw new UsageError(`serve: one socket can be passed, not LISTEN_FDS=${count}`);
  return { kind: 'descriptor', fd: second ? PASSED_FD : FIRST_PASSED };
}

function placesOf(line: WordLine): readonly ListenPlace[] {
  return ((line.values['listen'] as readonly string[] | undefined) ?? ['127.0.0.1:8466']).map(parsePlace);
}

function basePathOf(line: WordLine): string {
  const path = textOf(line, 'base-path') ?? '';
  if (path !== '' && !/^(\/[\w.~-]+)+$/.test(path))
    throw new UsageError('--base-path must look like /ct, without a slash at its end');
  return path;
}

/** Tokens and certificates. Without any token, one is made for whoever sits at the terminal. */
function secretsOf(line: WordLine, { host, err }: WordContext): Secrets {
  const { env, stderr } = host;
  const file = (name: string) => textOf(line, name);
  const credentials = env['CREDENTIALS_DIRECTORY'];
  const tokenFile = file('token-file') ?? (credentials === undefined ? undefined : `${credentials}/token`);
  const readFile = file('read-token-file');
  const [cert, key] = [file('tls-cert'), file('tls-key')];
  const tls = cert === undefined || key === undefined ? {} : { cert: readPublic(cert), key: readSecret(key, 'private key') };
  const fault = tls.cert === undefined ? undefined : checkTls(tls.cert, tls.key);
  if (fault !== undefined) err(`conntrack: serve: warning: ${fault}`);
  if (isGiven(line, 'no-auth')) return tls;
  const tokens = {
    ...(tokenFile === undefined ? {} : { changeToken: readToken(tokenFile, file('token-file') === undefined) }),
    ...(readFile === undefined ? {} : { readToken: readToken(readFile) }),
  };
  const needsNone = isGiven(line, 'metrics-only') && isGiven(line, 'metrics-open');
  if (Object.keys(tokens).length > 0 || needsNone) return { ...tls, ...tokens };
  if (!stderr.isTTY)
    throw new UsageError('serve: a token file is needed where nobody sees a token', { hint: `--token-file FILE; ${MAKE_TOKEN}` });
  const made = makeToken();
  return { ...tls, ...(isGiven(line, 'allow-changes') ? { changeToken: made } : { readToken: made }), made: true };
}

function readPublic(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ServeError(`cannot read the certificate: ${(error as Error).message}`);
  }
}

/** The address, with the token that was made for the terminal. */
function withToken(url: string, { made, changeToken, readToken: reading }: Secrets, allowChanges: boolean): string {
  const token = made ? (changeToken ?? reading) : undefined;
  return `${url}${token === undefined ? '' : `#token=${token}`}${allowChanges ? '' : ' (reading only)'}`;
}

function logger(json: boolean, { err }: WordContext): (entry: LogEntry) => void {
  return (entry) => {
    const at = new Date().toISOString();
    if (json) err(safeJson({ at, ...entry }));
    else {
      const { what, method, path, status, peer = '-', role = '-', filter, netns, deleted, untold, error } = entry;
      const more = [
        ...(filter === undefined ? [] : [`filter=${safeJson(filter)}`]),
        ...(netns === undefined ? [] : [`netns=${safeJson(netns)}`]),
        ...(deleted === undefined ? [] : [`deleted=${deleted}`]),
        ...(untold === undefined ? [] : [`untold=${untold}`]),
        ...(error === undefined ? [] : [error]),
      ];
      err(safeText(`${at} ${what} ${method} ${path} ${status} ${peer} ${role} ${more.join(' ')}`.trimEnd()));
    }
  };
}
