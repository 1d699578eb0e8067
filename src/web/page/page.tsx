// The page of `conntrack serve`: how full the table is, what passes, who has most, and the flows.

import { render } from 'preact';
import { count, rate } from '../../units.js';
import { readToken } from './api.js';
import { ChartPanel } from './chart-panel.js';
import { ColumnsMenu } from './columns-menu.js';
import { DeletionDialog } from './deletion-dialog.js';
import { DoctorDialog } from './doctor-dialog.js';
import { FilterBox } from './filter-box.js';
import { FlowDrawer } from './flow-drawer.js';
import { FlowGrid } from './flow-grid.js';
import { flows } from './flow-window.js';
import { GroupsPanel } from './groups-panel.js';
import { CommandsDialog, HelpDialog } from './help-dialogs.js';
import { live } from './live.js';
import { PageFooter } from './page-footer.js';
import { Gauge, Notices, PageHeader } from './page-header.js';
import { followKeys } from './page-keys.js';
import { followTheme, link, measured, overlay } from './page-state.js';
import { followAddress, view } from './page-view.js';
import { TokenForm } from './token-form.js';

function Page() {
  if (link.value === 'refused') return <TokenForm />;
  return (
    <>
      <PageHeader />
      <main>
        <Gauge />
        <Notices />
        <div class="panels">
          <ChartPanel />
          <GroupsPanel />
        </div>
        <section class="flows" aria-label="Flows">
          <div class="flows-head">
            <FilterBox />
            <Totals />
            <ColumnsMenu />
          </div>
          <div class="flows-body">
            <FlowGrid />
            <FlowDrawer />
          </div>
        </section>
      </main>
      <PageFooter />
      <Overlay />
    </>
  );
}

/** Of all that match. */
function Totals() {
  const answer = flows.answer.value;
  const unit = view.value.unit as 'bits' | 'bytes';
  const average = answer?.totals.average;
  return (
    <div class="totals">
      <span class="matched">
        <b>{answer ? count(answer.matched) : '·'}</b> of {answer ? count(answer.total) : '·'}
      </span>
      <span class="sum out">
        → <b>{rate(measured(average?.original), unit)}</b>
      </span>
      <span class="sum in">
        ← <b>{rate(measured(average?.reply), unit)}</b>
      </span>
    </div>
  );
}

function Overlay() {
  const now = overlay.value;
  if (now?.what === 'help') return <HelpDialog />;
  if (now?.what === 'doctor') return <DoctorDialog />;
  if (now?.what === 'commands') return <CommandsDialog filter={now.filter} />;
  return now?.what === 'delete' ? <DeletionDialog target={now.target} /> : null;
}

readToken();
followTheme();
followAddress();
followKeys();
const root = document.createElement('div');
root.id = 'page';
document.body.append(root);
render(<Page />, root);
void live();
