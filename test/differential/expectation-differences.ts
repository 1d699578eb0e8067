// How commands that change expectations differ from Debian's conntrack 1.4.7, with the right answers. Ids are rows of
// docs/differences.md, or of docs/behaviour.md 6.

import { type CommandLine, has } from '../support/argv.js';
import { rebuild } from '../support/entries.js';
import { expectationRequest } from '../support/flow-request.js';
import { type ChangeDifference, CLOSING, is, protocolOf, refusal } from './change-answers.js';
import { MASTER_REQUESTS } from './expectation-lines.js';

const expects = (line: CommandLine, letter: string) => is(line, letter) && line.table === 'expect' && line.unknown.length === 0;

const TUPLE =
  '--tuple-src 198.51.100.1 --tuple-dst 192.0.2.1 --tuple-port-src 0 --tuple-port-dst 9000 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535 -t 300';
const SIP = `-I expect -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 5060 --dport 5060 ${TUPLE}`;
const FTP = `-I expect -s 192.0.2.1 -d 198.51.100.1 -p tcp --sport 41000 --dport 21 ${TUPLE}`;
const DELETE = '-D expect -s 198.51.100.1 -d 192.0.2.1 -p udp --sport 0 --dport 9000';

export const EXPECTATION_DIFFERENCES: readonly ChangeDifference[] = [
  {
    id: '2.3',
    reason: '-D expect needs no reply ports, which it never uses; the reference demands them',
    applies: (line) => expects(line, 'D') && has(line, 'proto') && !(has(line, 'reply-port-src') && has(line, 'reply-port-dst')),
    rewrite: (line) => rebuild(line, () => true, ['--reply-port-src', '1', '--reply-port-dst', '1']),
    setUp: MASTER_REQUESTS,
    example: [SIP, DELETE],
  },
  {
    id: '6.15',
    reason: '-I expect makes the expectation that is asked for; 1.4.7 takes a byte of a port for the protocol of tcp',
    applies: (line) => expects(line, 'I') && protocolOf(line) === 6,
    answer: async (line, { send }) => {
      const created = (await send(expectationRequest(line))) === 0;
      return { outcome: created ? { status: '0', stdout: '', stderr: '' } : refusal(1), shown: true };
    },
    setUp: MASTER_REQUESTS,
    example: [FTP],
  },
  {
    id: 'B9',
    reason: '-D expect that succeeds says so; the reference says that it has shown 0, and exits 1',
    applies: (line) => expects(line, 'D'),
    answer: async (line, { run }) => {
      const outcome = await run(line.argv);
      const deleted = outcome.stderr.includes(': 0 expectations have been shown');
      if (!deleted) return { outcome, shown: false };
      return {
        outcome: { status: '0', stdout: '', stderr: `${CLOSING}1 expectations have been deleted.\n` },
        shown: true,
      };
    },
    setUp: MASTER_REQUESTS,
    example: [SIP, `${DELETE} --reply-port-src 1 --reply-port-dst 2`],
  },
];
