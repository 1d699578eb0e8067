// Public API. Named re-exports and nothing else.

export { formatAddress, parseAddress } from './ctnetlink/address.js';
export type { End, FlowCondition, FlowFilter, Side } from './ctnetlink/filter.js';
export { LabelMap } from './ctnetlink/label.js';
export {
  ClosedError,
  ConntrackError,
  DecodeError,
  KernelError,
  NamespaceError,
  NoAnswerError,
  PlatformError,
  SystemError,
  ValueError,
} from './errors.js';
export { listNamespaces, type NamespaceList, NetworkNamespace } from './library/namespaces.js';
export { type ConntrackOptions, ConntrackTable as Conntrack, type TableCount } from './library/table.js';
