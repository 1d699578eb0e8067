// conntrack/doctor: the public API of the doctor.

export { type DiagnoseOptions, diagnose } from './diagnose.js';
export { type ExplainFlowOptions, explainFlow } from './explain-flow.js';
export type { Fact, FlowExplanation } from './explanation.js';
export type { Diagnosis, Finding, Severity, Unchecked } from './finding.js';
