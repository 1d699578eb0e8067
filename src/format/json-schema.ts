// The JSON Schema of everything `-o json` prints and `toJSON()` gives, generated from the same rows as the decoder. scripts/build.mjs
// writes it to dist/conntrack.schema.json.

import { expectationFields } from '../ctnetlink/expectation-fields.js';
import { flowFields } from '../ctnetlink/fields.js';
import { type FieldName, FLOW_MEMBERS, type MemberRow, SEQ_ADJ } from '../ctnetlink/flow-members.js';
import { generic } from '../ctnetlink/protocols/generic.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import type { Field } from '../ctnetlink/schema.js';
import { CPU_STATISTICS, EXPECTATION_STATISTICS, statisticMember } from '../ctnetlink/statistics.js';
import { EXPECTATION_FLAG_NAMES, STATUS_NAMES } from '../ctnetlink/status.js';
import { tupleFields } from '../ctnetlink/tuple-fields.js';
import { array, described, integer, object, ref, type Schema, type SchemaMembers, U32 } from './schema-parts.js';

/** The JSON type of a row's value. */
function ofRow(row: Field): Schema {
  switch (row.kind) {
    case 'u8':
      return row.names ? { enum: row.names, description: row.doc } : integer(0xff, row.doc);
    case 'pair8':
      return integer(0xff, row.doc);
    case 'be16':
      return integer(0xffff, row.doc);
    case 'be32':
      return integer(U32, row.doc);
    case 'be64':
      return ref('number64', row.doc);
    case 'bytes':
      return { type: 'string', pattern: '^([0-9a-f]{2})*$', description: row.doc };
    case 'labels':
      return array(integer(U32), row.doc);
    case 'ipv4':
    case 'ipv6':
    case 'string':
      return { type: 'string', description: row.doc };
  }
}

/** What a part of the package adds: definitions, and which of them are whole outputs. */
export interface SchemaAddition {
  readonly definitions: SchemaMembers;
  readonly outputs: readonly string[];
  /** Definitions that are made of that of a flow, by name. */
  readonly ofFlow?: Readonly<Record<string, (flow: Schema) => Schema>>;
}

/** The schema, and the rows of flows, expectations and tuples that it covers: a test compares these with all rows. */
export function makeJsonSchema(...additions: readonly SchemaAddition[]): {
  readonly schema: Schema;
  readonly rows: ReadonlySet<Field>;
} {
  const outputs = additions.flatMap((addition) => addition.outputs);
  const definitions: SchemaMembers = Object.assign({}, ...additions.map((addition) => addition.definitions));
  const rows = new Set<Field>();
  const take = (row: Field): Schema => {
    rows.add(row);
    return ofRow(row);
  };
  const flow = (name: keyof typeof flowFields) => take(flowFields[name]);
  const expected = (name: keyof typeof expectationFields) => take(expectationFields[name]);
  /** One member for rows that exclude each other, such as the addresses of two families. */
  const either = (description: string, ...names: (keyof typeof tupleFields)[]): Schema =>
    described(names.map((name) => take(tupleFields[name]))[0]!, description);

  const tuple: SchemaMembers = {
    src: either('Source address: dotted IPv4, or compressed lower-case IPv6.', 'v4Src', 'v6Src'),
    dst: either('Destination address, likewise.', 'v4Dst', 'v6Dst'),
    protonum: take(tupleFields.protonum),
    sport: take(tupleFields.sport),
    dport: take(tupleFields.dport),
    icmpType: either('ICMP or ICMPv6 type.', 'icmpType', 'icmpv6Type'),
    icmpCode: either('ICMP or ICMPv6 code.', 'icmpCode', 'icmpv6Code'),
    icmpId: either('ICMP or ICMPv6 identifier.', 'icmpId', 'icmpv6Id'),
    zone: take(tupleFields.tupleZone),
  };
  const netns: Schema = { type: 'string', description: 'Its network namespace, with --netns all.' };
  const host: Schema = { type: 'string', description: 'Its host, with conntrack fleet.' };
  const family: Schema = { enum: ['ipv4', 'ipv6', 'unknown'], description: 'Address family.' };
  const protocol: Schema = {
    enum: [...PROTOCOLS.map(({ name }) => name), generic.name],
    description: 'Layer-4 protocol; unknown for those without a tracker.',
  };
  const bits = (names: readonly string[], { doc }: Field): Schema =>
    array({ anyOf: [{ enum: names }, { type: 'string', pattern: '^BIT_[0-9]+$' }] }, `${doc} By name, in bit order.`);
  take(flowFields.status);
  for (const { state } of PROTOCOLS) if (state) take(flowFields[state as FieldName]);
  take(expectationFields.flags);
  take(expectationFields.natDirection);

  const side = (direction: 'Original' | 'Reply'): Schema =>
    object(
      `The ${direction.toLowerCase()} direction.`,
      {
        ...tuple,
        packets: flow(`packets${direction}`),
        bytes: flow(`bytes${direction}`),
        seqAdj: object(
          'Shift of sequence numbers; absent if all are 0.',
          {
            correctionPos: flow(`seqAdj${direction}Pos`),
            offsetBefore: flow(`seqAdj${direction}Before`),
            offsetAfter: flow(`seqAdj${direction}After`),
          },
          SEQ_ADJ,
        ),
      },
      ['src', 'dst', 'protonum'],
    );

  /** Members that are not just the value of a field. */
  const own: Readonly<Record<string, SchemaMembers>> = {
    family: { family },
    protocol: { protocol },
    state: {
      state: {
        enum: [...new Set(PROTOCOLS.flatMap(({ states = [] }) => states))],
        description: "State of the protocol's tracker.",
      },
    },
    original: { original: side('Original') },
    reply: { reply: side('Reply') },
    status: { status: bits(STATUS_NAMES, flowFields.status) },
    labels: {
      labels: described(flow('labels'), 'Connection labels: the bits that are set, ascending.'),
      labelNames: array({ type: 'string' }, 'Names of those labels that have one. With -o labels.'),
    },
    master: { master: ref('tuple', 'Original tuple of the flow that expected this one.') },
  };
  const ofMember = ({ name, field, parts, triple, doc }: MemberRow): SchemaMembers => {
    if (field) return { [name]: flow(field) };
    if (!parts) return own[name]!;
    const members = Object.fromEntries(Object.entries(parts).map(([part, row]) => [part, flow(row)]));
    return { [name]: object(doc!, members, triple ? Object.keys(parts) : []) };
  };
  const flowSchema = object(
    'A tracked connection. The kernel did not send absent members.',
    Object.assign({ host, netns }, ...FLOW_MEMBERS.map(ofMember)),
    ['family', 'protocol', 'original', 'reply'],
  );

  const expectationSchema = object(
    'A connection that a helper expects.',
    {
      netns,
      id: expected('id'),
      family,
      protocol,
      timeout: expected('timeout'),
      tuple: ref('tuple', 'What is expected.'),
      mask: ref('tuple', 'Which bits of the tuple count.'),
      master: ref('tuple', 'Original tuple of the flow that caused the expectation.'),
      zone: expected('zone'),
      flags: bits(EXPECTATION_FLAG_NAMES, expectationFields.flags),
      class: expected('class'),
      helper: expected('helper'),
      natDirection: { enum: ['original', 'reply'], description: 'Direction to which NAT is applied.' },
      fn: expected('fn'),
    },
    ['family', 'protocol', 'tuple', 'mask', 'master'],
  );

  const event = (name: 'flow' | 'expectation'): Schema =>
    object(
      `An event of -E, of a ${name}.`,
      {
        netns,
        type: { enum: ['NEW', 'UPDATE', 'DESTROY'] },
        timestamp: flow('timestampEvent'),
        portId: integer(U32, 'Netlink socket whose request caused it; absent for packets and timeouts.'),
        program: { type: 'string', description: 'Name of the program that owns that socket, if known.' },
        pid: described(number, 'Process id of that program.'),
        origin: {
          enum: ['initial', 'resync'],
          description: 'Says that a list supplied the event; absent if the kernel sent it.',
        },
        [name]: ref(name),
      },
      ['type', name],
    );

  const counters = (description: string, names: readonly string[]): Schema =>
    object(
      description,
      {
        netns,
        cpu: integer(0xffff, 'Number of the CPU.'),
        ...Object.fromEntries(names.map((name) => [statisticMember(name), integer(U32, `Counter ${name}; it wraps round.`)])),
      },
      ['cpu'],
    );

  const number = { type: 'integer', minimum: 0 } as const;
  const changeResult = (done: 'deleted' | 'updated', more: SchemaMembers): Schema =>
    object(
      `Results for the flows that were to be ${done}. With -o ndjson, it follows the lines of the flows.`,
      {
        flows: array(ref('flow'), `Those that were ${done}.`),
        dryRun: { const: true, description: 'Nothing was changed: --dry-run.' },
        matched: number,
        [done]: number,
        alreadyGone: described(number, 'Ended by themselves in the meantime.'),
        ...more,
        failed: described(number, 'Refused by the kernel.'),
        errors: array(ref('error'), 'The first few refusals.'),
      },
      ['matched', done, 'alreadyGone', 'failed'],
    );

  const schema: Schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'conntrack.schema.json',
    title: 'Output of conntrack -o json and -o ndjson, and toJSON() of the library',
    anyOf: [
      ...['flow', 'expectation', 'flowEvent', 'expectationEvent', 'cpuStatistics', 'expectationStatistics'].flatMap((name) => [
        ref(name),
        array(ref(name)),
      ]),
      ...['count', 'counts', 'deleteResult', 'updateResult', 'failure', 'note', ...outputs].map((name) => ref(name)),
      { type: 'null' },
    ],
    $defs: {
      number64: {
        description: 'A 64-bit number: a number up to 2^53 - 1, and above that a string of its digits.',
        anyOf: [
          { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
          { type: 'string', pattern: '^[1-9][0-9]{15,19}$' },
        ],
      },
      tuple: object('Addresses, protocol and ports of one direction.', tuple, ['src', 'dst', 'protonum']),
      flow: flowSchema,
      expectation: expectationSchema,
      flowEvent: event('flow'),
      expectationEvent: event('expectation'),
      cpuStatistics: counters('Counters of a CPU: -S.', CPU_STATISTICS),
      expectationStatistics: counters('Counters of a CPU: -S expect.', EXPECTATION_STATISTICS),
      count: object('-C.', { netns, entries: number, maxEntries: number }, ['entries']),
      counts: array(ref('count'), '-C --netns all.'),
      deleteResult: changeResult('deleted', {}),
      updateResult: changeResult('updated', {
        unchanged: described(number, 'Had the new values already.'),
        withoutLabelRoom: described(number, 'Could not get labels, but got the other new values.'),
      }),
      error: object(
        'An error: the code is stable, the message for people, the hint says what to do.',
        { netns, code: { type: 'string' }, message: { type: 'string' }, hint: { type: 'string' } },
        ['code', 'message'],
      ),
      failure: object('A line of standard error.', { error: ref('error') }, ['error']),
      note: object('A line of standard error.', { warning: { type: 'string' }, hint: { type: 'string' } }),
      ...definitions,
      ...Object.fromEntries(
        additions.flatMap(({ ofFlow = {} }) => Object.entries(ofFlow).map(([name, make]) => [name, make(flowSchema)])),
      ),
    },
  };
  return { schema, rows };
}
