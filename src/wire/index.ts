/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The netlink layer, which has never heard of conntrack.
 *
 * @module conntrack/netlink
 */

export type { AnswerVisitor, Request, VisitMessage } from './answers.js';
export { Datagrams } from './datagrams.js';
export { type DumpRequest, type DumpVisitor, dump, SharedThread } from './dump.js';
export { errnoName, errnoReason } from './errno.js';
export { align4, MessageWriter } from './message.js';
export { NetworkNamespace } from './netns.js';
export { listNamespaces, type NamespaceList } from './netns-list.js';
export { ReceiveBuffers } from './receive-buffers.js';
export { transact } from './request.js';
export { NetlinkSocket } from './socket.js';
export type { OpenTransport, Transport, TransportOptions } from './transport.js';
