// The Kubernetes manifest that `conntrack agent --print-daemonset` prints: an agent on every node.

/** What the manifest runs. */
export interface AgentDaemonSet {
  readonly version: string;
  readonly servers: readonly string[];
  readonly site: string;
  /** `--netns`, if it was given: then it enters other network namespaces, which takes much more. */
  readonly netns: string | undefined;
  /** Directory of the record that it answers from, on each node. */
  readonly history: string | undefined;
  /** Whether servers have a certificate of one's own authority; whether there are keys at all. */
  readonly ca: boolean;
  readonly insecure: boolean;
  /** What may be changed: then the secret has the file of changers. */
  readonly allow: readonly string[];
}

const PORT = 9467;
const FOLDER = '/etc/conntrack';

export function agentDaemonSet({ version, servers, site, netns, history, ca, insecure, allow }: AgentDaemonSet): string {
  const files = [
    ...(insecure ? [] : [{ path: `${FOLDER}/node.seed`, key: '$(NODE_NAME).seed' }]),
    ...(ca ? [{ path: `${FOLDER}/ca.pem`, key: 'ca.pem' }] : []),
    ...(allow.length > 0 ? [{ path: `${FOLDER}/changers`, key: 'changers' }] : []),
  ];
  const words = [
    'agent',
    ...['--name', '$(NODE_NAME)'],
    ...['--site', '$(SITE)'],
    ...['--nats', servers.join(',')],
    ...(insecure ? ['--insecure'] : ['--seed', `${FOLDER}/node.seed`]),
    ...(ca ? ['--ca', `${FOLDER}/ca.pem`] : []),
    ...(netns === undefined ? [] : ['--netns', netns]),
    ...(history === undefined ? [] : ['--history', history]),
    ...(allow.length > 0 ? ['--allow', allow.join(','), '--changers', `${FOLDER}/changers`] : []),
    ...['--listen', `127.0.0.1:${PORT}`],
  ];
  const capabilities = ['NET_ADMIN', ...(netns === undefined ? [] : ['SYS_ADMIN', 'SYS_PTRACE'])];
  const list = (texts: readonly string[], indent: string) => texts.map((text) => `${indent}- ${JSON.stringify(text)}\n`).join('');
  const probe = (name: string, path: string, failures: number) => `          ${name}:
            httpGet:
              host: 127.0.0.1
              path: ${path}
              port: ${PORT}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: ${failures}
`;
  const mounts = [
    // Of the secret, a container sees what is its own.
    ...files.map(
      ({ path, key }) => `            - name: fleet
              mountPath: ${path}
              subPathExpr: ${JSON.stringify(key)}
              readOnly: true
`,
    ),
    ...(history === undefined ? [] : [`            - name: record\n              mountPath: ${JSON.stringify(history)}\n`]),
  ].join('');
  const volumes = [
    ...(files.length === 0
      ? []
      : [
          // The agent refuses seeds that others may read: 256 is 0400.
          '        - name: fleet\n          secret:\n            secretName: conntrack-fleet\n            defaultMode: 256\n',
        ]),
    ...(history === undefined
      ? []
      : [
          `        - name: record\n          hostPath:\n            path: ${JSON.stringify(history)}\n            type: Directory\n`,
        ]),
  ].join('');
  return `# conntrack agent on every node. Made by conntrack agent --print-daemonset.
#
# The image is that of packaging/container/Dockerfile, in your registry.${
    files.length === 0
      ? ''
      : `
# The secret has ${files.map(({ key }) => key.replace('$(NODE_NAME)', 'NODE')).join(', ')}${insecure ? '' : ', with a seed for each node'}:
#   conntrack fleet auth agent NODE --site ${site} --keys keys
#   kubectl create secret generic conntrack-fleet --from-file=keys/NODE.seed ...`
  }
# Names in a fleet have no dots: where those of nodes do, leave --name out, and the agent takes its host name up to the first dot.
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: conntrack-agent
  labels:
    app.kubernetes.io/name: conntrack-agent
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: conntrack-agent
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 10%
  template:
    metadata:
      labels:
        app.kubernetes.io/name: conntrack-agent
    spec:
      # The table belongs to a network namespace: that of the node.
      hostNetwork: true
      dnsPolicy: ClusterFirstWithHostNet
${netns === undefined ? '' : '      # Other network namespaces are found through the processes in them.\n      hostPID: true\n'}      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 20
      tolerations:
        - operator: Exists
      containers:
        - name: agent
          image: ${JSON.stringify(`conntrack:${version}`)}
          args:
${list(words, '            ')}          env:
            - name: NODE_NAME
              valueFrom:
                fieldRef:
                  fieldPath: spec.nodeName
            - name: SITE
              value: ${JSON.stringify(site)}
          securityContext:
            runAsUser: 0
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop:
                - ALL
              add:
${list(capabilities, '                ')}            seccompProfile:
              type: ${netns === undefined ? 'RuntimeDefault' : 'Unconfined'}
          resources:
            requests:
              cpu: 50m
              memory: 96Mi
            limits:
              memory: 512Mi
${probe('livenessProbe', '/healthz', 6)}${probe('readinessProbe', '/readyz', 3)}${mounts === '' ? '' : `          volumeMounts:\n${mounts}`}${volumes === '' ? '' : `      volumes:\n${volumes}`}`;
}
