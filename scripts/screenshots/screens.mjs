// What the pictures of `conntrack top` show, a row each. All of them are in test/fixtures/screens/ as text; those with a `picture` are in
// docs/pictures/, too.

/** A size that is too small, and those from which on there is more: see src/top/top-layout.ts. */
const SIZES = ['50x9', '60x10', '80x16', '80x24', '140x40', '200x60'];

/** What the doctor may find. */
const DIAGNOSIS = {
  seconds: 2,
  fine: ['table-full', 'clashes'],
  findings: [
    {
      id: 'table-nearly-full',
      severity: 'warning',
      title: 'the table will be full in 6 minutes',
      detail: ['10.20.0.57 has most of the flows, and is mostly not answered'],
      fix: ['sysctl -w net.netfilter.nf_conntrack_max=16384'],
      about: 'doctor.md#table-nearly-full',
    },
  ],
  unchecked: [{ id: 'few-buckets', reason: '/proc/sys/net/netfilter is not readable' }],
};

const EXPLANATION = {
  title: 'tcp 10.20.0.133:47788 → 203.0.113.10:443',
  id: 77,
  picture: [
    '10.20.0.133:47788 ──► [ this host: source becomes 198.51.100.4:47788 ] ──► 203.0.113.10:443',
    '10.20.0.133:47788 ◄── [ this host: destination becomes 10.20.0.133:47788 ] ◄── 203.0.113.10:443',
  ],
  facts: [{ about: 'state', text: 'ESTABLISHED: open; the first FIN makes it FIN_WAIT, a reset CLOSE' }],
  problems: DIAGNOSIS.findings,
  commands: ["conntrack -E --filter 'id 77'", "conntrack -D --filter 'id 77'"],
};

/** `look` makes it look so, beginning with the fastest flows; `facts` are not as usual; `overlay` lies over it. */
export const SCREENS = [
  ...SIZES.map((size) => ({ name: `flows-${size}`, size })),
  {
    name: 'flows',
    size: '100x30',
    look: ({ state }) => state.flowList.move(3),
    picture: {
      title: 'conntrack top',
      description:
        'A list of flows with addresses, translation, states and rates, the fastest first, below four lines about the table.',
    },
  },
  {
    // Sources, the flows of the selected one, and the details of the first of them.
    name: 'groups',
    size: '140x40',
    look: async (view) => {
      view.state.groupBy('src');
      view.state.details = true;
      await view.ask();
      await selectGroup(view, '10.20.0.57');
    },
    picture: {
      title: 'conntrack top --by src',
      description:
        'A list of sources with their flows, rates and history, in which a port scan is red; below it the flows of one source.',
    },
  },
  {
    // While it is typed.
    name: 'filter',
    size: '80x24',
    look: ({ state }) => state.setFilter('tcp and not dst port 22'),
    overlay: ({ state, top }) =>
      typed(
        top.filterPrompt(`${state.filter} and st`, [], undefined, () => {}),
        'Tab',
        'Tab',
      ),
    picture: {
      title: 'conntrack top',
      description: 'The line at the bottom has a filter that is being typed; above it are the words that can follow.',
    },
  },
  { name: 'flows-ascii', size: '80x24', ascii: true },
  { name: 'flows-no-color', size: '80x24', color: false },
  {
    name: 'flows-by-age',
    size: '80x24',
    look: ({ state }) => Object.assign(state.flowOrder, { sort: 'idle', reverse: true }),
  },
  {
    name: 'flows-bytes-of-the-last-interval',
    size: '80x24',
    look: ({ state }) => Object.assign(state, { unit: 'bytes', averages: false }),
  },
  {
    name: 'columns-to-the-right',
    size: '80x24',
    look: ({ state }) => {
      state.hiddenColumns = 6;
    },
  },
  {
    name: 'tagged-ended-held',
    size: '80x24',
    look: (view) => {
      const { state } = view;
      for (const flow of state.flows.flows.slice(2, 4)) state.tags.set(flow.number, flow);
      state.flowList.move(2);
      state.heldOrder = state.flows.flows.map(({ number }) => number);
      state.find = '443';
      state.say('copied, if this terminal allows it: 10.20.0.57');
      state.showFlows(view.before, true, (numbers) => numbers.map(() => true));
    },
  },
  {
    name: 'paused-of-a-namespace',
    size: '80x24',
    facts: ({ sample }) => ({ paused: 72, sample: { ...sample, namespaces: [{ ...sample.namespaces[0], name: 'blue' }] } }),
  },
  {
    name: 'late-and-nearly-full',
    size: '140x40',
    facts: ({ sample, now }) => ({
      now: new Date(now.getTime() + 9000),
      sample: {
        ...sample,
        full: 318,
        namespaces: [
          { ...sample.namespaces[0], maxEntries: 1024, kernel: { drop: 7, earlyDrop: 2, insertFailed: 0, invalid: 0 }, lost: 2 },
          { ...sample.namespaces[0], name: 'blue' },
        ],
      },
    }),
  },
  {
    name: 'a-notice-and-a-scope',
    size: '80x24',
    look: ({ state }) => state.setFilter('tcp'),
    facts: ({ status }) => ({
      scope: 'src 10.0.0.0/8',
      readOnly: true,
      status: {
        ...status,
        accounting: 'off',
        notices: [{ code: 'ACCOUNTING_OFF', text: 'accounting is off: no bytes, no packets, no rates', netns: 'blue' }],
      },
    }),
  },
  {
    name: 'nothing-matches',
    size: '80x24',
    look: ({ state }) => state.setFilter('src 192.0.2.222'),
  },
  ...['80x24', '200x60'].map((size) => ({
    name: `groups-by-service-${size}`,
    size,
    look: async (view) => {
      view.state.groupBy('service');
      view.state.setFilter('not dst port 53');
      await view.ask();
      view.state.groupList.move(1);
    },
  })),
  {
    name: 'groups-ascii',
    size: '140x40',
    ascii: true,
    look: ({ state }) => state.groupBy('src/24'),
  },
  {
    name: 'flows-of-a-group',
    size: '80x24',
    look: async (view) => {
      view.state.groupBy('src');
      await view.ask();
      await selectGroup(view, '10.20.0.57');
      view.state.open();
      view.state.details = true;
    },
  },
  {
    name: 'details-ascii',
    size: '140x40',
    ascii: true,
    look: ({ state }) => {
      state.details = true;
    },
  },
  { name: 'help-80x24', size: '80x24', overlay: ({ top }) => new top.TextOverlay('Keys', top.helpLines(false)) },
  { name: 'help-140x40', size: '140x40', overlay: ({ top }) => new top.TextOverlay('Keys', top.helpLines(false)) },
  { name: 'help-ascii', size: '140x40', ascii: true, overlay: ({ top }) => new top.TextOverlay('Keys', top.helpLines(true)) },
  {
    name: 'information',
    size: '100x30',
    facts: ({ status }) => ({
      status: {
        ...status,
        notices: [
          {
            code: 'TIMESTAMP_OFF',
            text: 'the kernel keeps no times: ages are at least what they say',
            remedy: 'ip netns exec blue sysctl -w net.netfilter.nf_conntrack_timestamp=1  # new flows only',
          },
        ],
      },
    }),
    overlay: ({ top, facts }) =>
      new top.TextOverlay('Information', [...top.diagnosisLines(DIAGNOSIS), '', ...top.informationLines(facts)]),
  },
  {
    name: 'explanation-ascii',
    size: '100x30',
    ascii: true,
    look: ({ state }) => state.open(),
    overlay: ({ top }) => new top.TextOverlay('What it is', top.explainedLines(EXPLANATION)),
  },
  {
    name: 'command-lines',
    size: '100x30',
    look: async (view) => {
      view.state.groupBy('src');
      view.state.setFilter('tcp');
      await view.ask();
      await selectGroup(view, '10.20.0.57');
    },
    overlay: ({ top, state }) =>
      new top.TextOverlay('The same as command lines', top.commandLines(state, { scope: undefined, netns: 'blue' })),
  },
  { name: 'menu-of-groups', size: '80x24', overlay: ({ top }) => top.groupMenu(() => {}) },
  {
    name: 'menu-of-orders',
    size: '80x24',
    ascii: true,
    overlay: ({ top, context }) =>
      typed(
        top.sortMenu(top.FLOW_COLUMNS, context, () => {}),
        'Down',
        'Down',
      ),
  },
  ...['80x24', '60x10'].map((size) => ({
    name: `filter-with-an-error-${size}`,
    size,
    overlay: ({ top }) =>
      typed(
        top.filterPrompt('tcp and dprt 443', [], undefined, () => {}),
        'Enter',
      ),
  })),
  {
    name: 'delete-one',
    size: '80x24',
    overlay: ({ top, state, question }) => question(top, { flows: [state.currentFlow] }),
  },
  {
    name: 'delete-many',
    size: '80x24',
    overlay: async ({ top, question, screen }) => {
      const dialog = await question(top, { filter: 'tcp' });
      dialog.draw(screen, { ascii: false }); // nobody can answer what was not seen
      return typed(dialog, '1', 'Enter');
    },
  },
  {
    name: 'delete-many-ascii',
    size: '60x10',
    ascii: true,
    overlay: ({ top, question }) => question(top, { filter: 'udp' }),
  },
];

async function selectGroup({ state, ask }, wanted) {
  state.groupList.move(state.groups.groups.findIndex(({ key }) => key === wanted) - state.groupList.row);
  state.forgetFlows();
  await ask();
}

/** An overlay that has taken keys. */
function typed(overlay, ...keys) {
  for (const key of keys) overlay.take({ type: 'key', key, text: key.length === 1 ? key : '' });
  return overlay;
}
