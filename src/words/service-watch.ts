// What services tell the manager that started them: that they are ready, that they are alive, and that they end. sd_notify(3).

import { notifyManager } from '../wire/service-manager.js';

/** A service that its manager watches, if one started it. */
export interface ServiceWatch {
  /** It is ready, and from now on it says that it is alive. */
  ready(): void;
  /** It ends. */
  ends(): void;
}

export function serviceWatch({ env, pid }: NodeJS.Process): ServiceWatch {
  const path = env['NOTIFY_SOCKET'];
  const watched = env['WATCHDOG_PID'] === undefined || env['WATCHDOG_PID'] === String(pid);
  const microseconds = watched ? Number(env['WATCHDOG_USEC'] ?? Number.NaN) : Number.NaN;
  const tell = (text: string) => {
    if (path !== undefined) notifyManager(path, text);
  };
  let alive: NodeJS.Timeout | undefined;
  return {
    ready: () => {
      tell('READY=1');
      // As it is advised: twice as often as needed.
      if (path !== undefined && microseconds > 0)
        alive = setInterval(() => tell('WATCHDOG=1'), Math.max(1, microseconds / 2000)).unref();
    },
    ends: () => {
      clearInterval(alive);
      tell('STOPPING=1');
    },
  };
}
