// Names that one asks a meter with: what flows and groups can be sorted by, and what flows can be grouped by.

/** What flows can be sorted by: amounts, the largest first; addresses, ports and names in ascending order. */
export const FLOW_SORTS = [
  'average',
  'averageOriginal',
  'averageReply',
  'rate',
  'rateOriginal',
  'rateReply',
  'packetRate',
  'bytes',
  'bytesOriginal',
  'bytesReply',
  'packets',
  'packetsOriginal',
  'packetsReply',
  'age',
  'idle',
  'timeout',
  'src',
  'dst',
  'sport',
  'dport',
  'protocol',
  'state',
  'mark',
  'zone',
  'netns',
] as const;
/** One of them. */
export type FlowSort = (typeof FLOW_SORTS)[number];

/** What groups can be sorted by: the largest first, `key` in ascending order. */
export const GROUP_SORTS = [
  'flows',
  'unreplied',
  'begun',
  'endedUnreplied',
  'average',
  'averageOriginal',
  'averageReply',
  'rate',
  'rateOriginal',
  'rateReply',
  'packetRate',
  'bytes',
  'bytesOriginal',
  'bytesReply',
  'packets',
  'key',
] as const;
/** One of them. */
export type GroupSort = (typeof GROUP_SORTS)[number];

/** What the groups of a minute of the past can be sorted by. */
export const MINUTE_SORTS = ['average', 'flows', 'unreplied'] as const satisfies readonly GroupSort[];
/** One of them. */
export type MinuteSort = (typeof MINUTE_SORTS)[number];

/** Names that take no parameter, in the order of the help. */
export const GROUPING_NAMES = [
  'src',
  'dst',
  'pair',
  'service',
  'protocol',
  'state',
  'family',
  'zone',
  'mark',
  'label',
  'helper',
  'snat',
  'dnat',
  'netns',
] as const;
/** What flows can be grouped by; `/` and a prefix length or a mask take a part of it. */
export type GroupingName = (typeof GROUPING_NAMES)[number] | `${'src' | 'dst'}/${string}` | `mark/${string}`;
