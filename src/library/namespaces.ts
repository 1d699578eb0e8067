// Network namespaces for users of the library: what `conntrack/netlink` has, under this layer's name.

export { NetworkNamespace, readIn } from '../wire/netns.js';
export { listNamespaces, type NamespaceList } from '../wire/netns-list.js';
