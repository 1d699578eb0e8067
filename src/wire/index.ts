// The netlink layer as public API (`conntrack/netlink`). It has never heard of conntrack.

export { Datagrams } from './datagrams.js';
export { errnoName, errnoReason } from './errno.js';
export { align4, MessageWriter } from './message.js';
export { NetworkNamespace } from './netns.js';
export { listNamespaces, type NamespaceList } from './netns-list.js';
export { type DumpVisitor, dump, ReceiveBuffers, type Request, transact, type VisitMessage } from './request.js';
export { NetlinkSocket } from './socket.js';
export type { OpenTransport, Transport, TransportOptions } from './transport.js';
