// The library's requests to the kernel: one row each, with the name in errors and the number on the wire.

import {
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_GET_CTRZERO,
  IPCTNL_MSG_CT_GET_DYING,
  IPCTNL_MSG_CT_GET_STATS,
  IPCTNL_MSG_CT_GET_STATS_CPU,
  IPCTNL_MSG_CT_GET_UNCONFIRMED,
  IPCTNL_MSG_CT_NEW,
  IPCTNL_MSG_EXP_DELETE,
  IPCTNL_MSG_EXP_GET,
  IPCTNL_MSG_EXP_GET_STATS_CPU,
  IPCTNL_MSG_EXP_NEW,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { NFNL_MSG_HOOK_GET, NFNL_SUBSYS_HOOK } from '../ctnetlink/uapi/nfnetlink-hook.js';
import { NFNL_SUBSYS_CTNETLINK, NFNL_SUBSYS_CTNETLINK_EXP } from '../wire/uapi/nfnetlink.js';

/** A request: how errors call it, and its nlmsg_type. */
export interface RequestRow {
  readonly name: string;
  readonly type: number;
}

const flows = (name: string, message: number): RequestRow => ({ name, type: (NFNL_SUBSYS_CTNETLINK << 8) | message });
const expectations = (name: string, message: number): RequestRow => ({ name, type: (NFNL_SUBSYS_CTNETLINK_EXP << 8) | message });

export const CT_NEW = flows('CT_NEW', IPCTNL_MSG_CT_NEW);
export const CT_GET = flows('CT_GET', IPCTNL_MSG_CT_GET);
export const CT_DELETE = flows('CT_DELETE', IPCTNL_MSG_CT_DELETE);
export const CT_GET_CTRZERO = flows('CT_GET_CTRZERO', IPCTNL_MSG_CT_GET_CTRZERO);
export const CT_GET_STATS_CPU = flows('CT_GET_STATS_CPU', IPCTNL_MSG_CT_GET_STATS_CPU);
export const CT_GET_STATS = flows('CT_GET_STATS', IPCTNL_MSG_CT_GET_STATS);
export const CT_GET_DYING = flows('CT_GET_DYING', IPCTNL_MSG_CT_GET_DYING);
export const CT_GET_UNCONFIRMED = flows('CT_GET_UNCONFIRMED', IPCTNL_MSG_CT_GET_UNCONFIRMED);
export const EXP_NEW = expectations('EXP_NEW', IPCTNL_MSG_EXP_NEW);
export const EXP_GET = expectations('EXP_GET', IPCTNL_MSG_EXP_GET);
export const EXP_DELETE = expectations('EXP_DELETE', IPCTNL_MSG_EXP_DELETE);
export const EXP_GET_STATS_CPU = expectations('EXP_GET_STATS_CPU', IPCTNL_MSG_EXP_GET_STATS_CPU);
/** Asks which functions are registered at a netfilter hook. It belongs to another subsystem. */
export const HOOK_GET: RequestRow = { name: 'HOOK_GET', type: (NFNL_SUBSYS_HOOK << 8) | NFNL_MSG_HOOK_GET };
