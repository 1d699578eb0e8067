// linux/netfilter/nfnetlink_hook.h and linux/netfilter.h (Linux 6.18): the part that is asked for here.

export const NFNL_SUBSYS_HOOK = 12;
/** enum nfnl_hook_msg_types */
export const NFNL_MSG_HOOK_GET = 0;

/** enum nfnl_hook_attributes */
export const NFNLA_HOOK_HOOKNUM = 1;
export const NFNLA_HOOK_PRIORITY = 2;
export const NFNLA_HOOK_DEV = 3;
export const NFNLA_HOOK_FUNCTION_NAME = 4;
export const NFNLA_HOOK_MODULE_NAME = 5;

/** enum nf_inet_hooks */
export const NF_INET_PRE_ROUTING = 0;
export const NF_INET_LOCAL_IN = 1;
export const NF_INET_FORWARD = 2;
export const NF_INET_LOCAL_OUT = 3;
export const NF_INET_POST_ROUTING = 4;
