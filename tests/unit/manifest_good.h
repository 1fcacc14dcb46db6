/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests as people and Calico's tools write them. For the tests of manifests alone. */
#ifndef CV_TESTS_UNIT_MANIFEST_GOOD_H
#define CV_TESTS_UNIT_MANIFEST_GOOD_H

/* clang-format off */

/* Word for word. */
#define POOL_OF_THE_ISSUE \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: IPPool\n" \
	"metadata:\n" \
	"    name: default-ipv4-ippool\n" \
	"spec:\n" \
	"    cidr: 192.168.0.0/16\n" \
	"    ipipMode: CrossSubnet\n" \
	"    natOutgoing: true\n"

/* As it is printed. */
#define EVERY_KIND \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: IPPool\n" \
	"metadata:\n" \
	"  name: p\n" \
	"spec:\n" \
	"  cidr: 10.244.0.0/16\n" \
	"  ipipMode: Always\n" \
	"  natOutgoing: false\n" \
	"  blockSize: 24\n" \
	"  nodeSelector: \"zone == 'a'\"\n" \
	"  disabled: true\n" \
	"  disableBGPExport: true\n" \
	"  allowedUses:\n" \
	"  - Workload\n" \
	"  assignmentMode: Manual\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: Node\n" \
	"metadata:\n" \
	"  name: a1\n" \
	"  labels:\n" \
	"    node-role.kubernetes.io/control-plane: \"\"\n" \
	"    zone: a\n" \
	"spec:\n" \
	"  bgp:\n" \
	"    ipv4Address: 192.168.100.1/24\n" \
	"    ipv4IPIPTunnelAddr: 10.244.1.1\n" \
	"    asNumber: 4227858433\n" \
	"    routeReflectorClusterID: 244.0.0.1\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: BlockAffinity\n" \
	"metadata:\n" \
	"  name: a1-10-244-1-0-24\n" \
	"spec:\n" \
	"  cidr: 10.244.1.0/24\n" \
	"  node: a1\n" \
	"  state: pendingDeletion\n" \
	"  deleted: true\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: IPReservation\n" \
	"metadata:\n" \
	"  name: r\n" \
	"spec:\n" \
	"  reservedCIDRs:\n" \
	"  - 10.244.9.0/30\n" \
	"  - 10.244.9.9\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: FelixConfiguration\n" \
	"metadata:\n" \
	"  name: node.a1\n" \
	"spec:\n" \
	"  ipipEnabled: true\n" \
	"  ipipMTU: 1400\n" \
	"  mtuIfacePattern: \"^((en|eth).*)\"\n" \
	"  natPortRange: \"32768:65535\"\n" \
	"  natOutgoingAddress: 192.0.2.7\n" \
	"  natOutgoingExclusions: IPPoolsAndHostIPs\n" \
	"  externalNodesList:\n" \
	"  - 192.0.2.9\n" \
	"  - 192.0.2.128/25\n" \
	"  deviceRouteProtocol: 85\n" \
	"---\n" \
	"apiVersion: culvert/v1\n" \
	"kind: Tunnel\n" \
	"metadata:\n" \
	"  name: tun1\n" \
	"spec:\n" \
	"  node: a1\n" \
	"  mode: ipip\n" \
	"  remote: 192.0.2.2\n" \
	"  local: any\n" \
	"  dev: eth0\n" \
	"  ttl: 64\n" \
	"  tos: 72\n" \
	"  pmtudisc: true\n" \
	"  strict: false\n" \
	"  ecn: compat\n" \
	"  mssclamp: 1300\n" \
	"  up: false\n" \
	"  addresses:\n" \
	"  - 10.0.0.1/24\n" \
	"  routes:\n" \
	"  - 10.1.0.0/16\n" \
	"  - 10.2.3.4\n" \
	"---\n" \
	"apiVersion: culvert/v1\n" \
	"kind: Workload\n" \
	"metadata:\n" \
	"  name: vm1\n" \
	"spec:\n" \
	"  node: a1\n" \
	"  device: tap0\n" \
	"  addresses:\n" \
	"  - 10.244.1.5\n" \
	"  - 10.244.2.0/24\n" \
	"---\n" \
	"apiVersion: culvert/v1\n" \
	"kind: PathConfiguration\n" \
	"metadata:\n" \
	"  name: default\n" \
	"spec:\n" \
	"  probing: Disabled\n" \
	"  minMTU: 700\n" \
	"  baseMTU: 1300\n" \
	"  maxProbes: 4\n" \
	"  probeTimer: \"1m30s\"\n" \
	"  raiseTimer: \"1.5h\"\n" \
	"  confirmTimer: \"0s\"\n" \
	"  livenessTimer: \"500ms\"\n" \
	"  livenessLosses: 5\n" \
	"  probesPerSecond: 100\n" \
	"  mssClamp: 1300\n" \
	"  skipDeadNextHops: Enabled\n" \
	"---\n" EVERY_BGP_KIND

#define EVERY_BGP_KIND \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: BGPConfiguration\n" \
	"metadata:\n" \
	"  name: default\n" \
	"spec:\n" \
	"  asNumber: 64513\n" \
	"  nodeToNodeMeshEnabled: true\n" \
	"  listenPort: 1790\n" \
	"  bindMode: NodeIP\n" \
	"  nodeMeshPassword:\n" \
	"    secretKeyRef:\n" \
	"      name: mesh\n" \
	"      key: Pass_word.1\n" \
	"  nodeMeshMaxRestartTime: \"2m\"\n" \
	"  programClusterRoutes: Disabled\n" \
	"  ignoredInterfaces:\n" \
	"  - \"docker*\"\n" \
	"  - br-0\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: BGPPeer\n" \
	"metadata:\n" \
	"  name: tor\n" \
	"spec:\n" \
	"  nodeSelector: \"rack == 'a'\"\n" \
	"  peerIP: \"192.0.2.1:1790\"\n" \
	"  asNumber: 65001\n" \
	"  localASNumber: 4227858433\n" \
	"  password:\n" \
	"    secretKeyRef:\n" \
	"      name: bgp.tor\n" \
	"      key: a\n" \
	"  sourceAddress: None\n" \
	"  nextHopMode: Self\n" \
	"  maxRestartTime: \"90s\"\n" \
	"  keepaliveTime: \"1s\"\n" \
	"  ttlSecurity: 254\n" \
	"  numAllowedLocalASNumbers: 3\n" \
	"  reachableBy: 192.0.2.254\n" \
	"  filters:\n" \
	"  - first\n" \
	"  - then\n" \
	"  reversePeering: Auto\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: BGPFilter\n" \
	"metadata:\n" \
	"  name: first\n" \
	"spec:\n" \
	"  exportV4:\n" \
	"  - action: Reject\n" \
	"    matchOperator: In\n" \
	"    cidr: 10.244.0.0/16\n" \
	"    prefixLength:\n" \
	"      min: 20\n" \
	"      max: 26\n" \
	"    source: RemotePeers\n" \
	"    interface: \"eth*\"\n" \
	"  - action: Accept\n" \
	"  importV4:\n" \
	"  - action: Accept\n" \
	"    matchOperator: NotEqual\n" \
	"    cidr: 192.0.2.0/24\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: IPAMConfiguration\n" \
	"metadata:\n" \
	"  name: default\n" \
	"spec:\n" \
	"  strictAffinity: true\n" \
	"  autoAllocateBlocks: false\n" \
	"  maxBlocksPerHost: 20\n"

#define EXPORT_OF_CALICOCTL \
	"apiVersion: projectcalico.org/v3\n" \
	"items:\n" \
	"- apiVersion: projectcalico.org/v3\n" \
	"  kind: IPPool\n" \
	"  metadata:\n" \
	"    creationTimestamp: null\n" \
	"    name: default-ipv4-ippool\n" \
	"  spec:\n" \
	"    allowedUses:\n" \
	"    - Workload\n" \
	"    - Tunnel\n" \
	"    blockSize: 26\n" \
	"    cidr: 192.168.0.0/16\n" \
	"    ipipMode: CrossSubnet\n" \
	"    natOutgoing: true\n" \
	"    nodeSelector: all()\n" \
	"    vxlanMode: Never\n" \
	"- apiVersion: projectcalico.org/v3\n" \
	"  kind: IPPool\n" \
	"  metadata:\n" \
	"    creationTimestamp: null\n" \
	"    name: default-ipv6-ippool\n" \
	"  spec:\n" \
	"    allowedUses:\n" \
	"    - Workload\n" \
	"    blockSize: 122\n" \
	"    cidr: fd00:10:244::/48\n" \
	"    nodeSelector: all()\n" \
	"    vxlanMode: Never\n" \
	"kind: IPPoolList\n" \
	"metadata:\n" \
	"  resourceVersion: \"123\"\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"items:\n" \
	"- apiVersion: projectcalico.org/v3\n" \
	"  kind: Node\n" \
	"  metadata:\n" \
	"    annotations:\n" \
	"      projectcalico.org/kube-labels: '{\"kubernetes.io/hostname\":\"a1\"}'\n" \
	"    creationTimestamp: \"2024-05-01T10:00:00Z\"\n" \
	"    labels:\n" \
	"      kubernetes.io/hostname: a1\n" \
	"    name: a1\n" \
	"  spec:\n" \
	"    addresses:\n" \
	"    - address: 192.168.100.1\n" \
	"    orchRefs:\n" \
	"    - nodeName: a1\n" \
	"      orchestrator: k8s\n" \
	"    bgp:\n" \
	"      ipv4Address: 192.168.100.1/24\n" \
	"      ipv4IPIPTunnelAddr: 192.168.66.64\n" \
	"  status:\n" \
	"    podCIDRs:\n" \
	"    - 10.244.1.0/24\n" \
	"- apiVersion: projectcalico.org/v3\n" \
	"  kind: Node\n" \
	"  metadata:\n" \
	"    name: b1\n" \
	"  spec: {}\n" \
	"kind: NodeList\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: FelixConfiguration\n" \
	"metadata:\n" \
	"  creationTimestamp: null\n" \
	"  name: default\n" \
	"spec:\n" \
	"    bpfConnectTimeLoadBalancing: TCP\n" \
	"    logSeverityScreen: Info\n" \
	"    reportingInterval: 0s\n" \
	"    floatingIPs: Disabled\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: BGPConfiguration\n" \
	"metadata:\n" \
	"  name: default\n" \
	"spec:\n" \
	"  asNumber: 64512\n" \
	"  nodeToNodeMeshEnabled: true\n" \
	"---\n" \
	"apiVersion: projectcalico.org/v3\n" \
	"kind: GlobalNetworkPolicy\n" \
	"metadata:\n" \
	"  name: deny-all\n" \
	"spec:\n" \
	"  types: [Ingress]\n"

#define EXPORT_OF_KUBECTL \
	"apiVersion: v1\n" \
	"items:\n" \
	"- apiVersion: crd.projectcalico.org/v1\n" \
	"  kind: IPPool\n" \
	"  metadata:\n" \
	"    annotations:\n" \
	"      note: kept\n" \
	"      kubectl.kubernetes.io/last-applied-configuration: |\n" \
	"        {\"apiVersion\":\"crd.projectcalico.org/v1\",\"kind\":\"IPPool\"}\n" \
	"      projectcalico.org/metadata: '{\"uid\":\"8d0a\",\"creationTimestamp\":\"2024-05-01T10:00:00Z\"}'\n" \
	"    creationTimestamp: \"2024-05-01T10:00:00Z\"\n" \
	"    generation: 2\n" \
	"    managedFields:\n" \
	"    - apiVersion: crd.projectcalico.org/v1\n" \
	"      fieldsType: FieldsV1\n" \
	"      fieldsV1:\n" \
	"        f:spec:\n" \
	"          .: {}\n" \
	"          f:cidr: {}\n" \
	"      manager: calico-node\n" \
	"      operation: Update\n" \
	"      time: \"2024-05-01T10:00:00Z\"\n" \
	"    name: default-ipv4-ippool\n" \
	"    resourceVersion: \"876\"\n" \
	"    uid: 3f6c1a86-4a0b-4d7e-8c3c-0c7c1b1f0a11\n" \
	"  spec:\n" \
	"    allowedUses:\n" \
	"    - Workload\n" \
	"    - Tunnel\n" \
	"    blockSize: 26\n" \
	"    cidr: 10.244.0.0/16\n" \
	"    ipipMode: Always\n" \
	"    natOutgoing: true\n" \
	"    nodeSelector: all()\n" \
	"    vxlanMode: Never\n" \
	"- apiVersion: crd.projectcalico.org/v1\n" \
	"  kind: BlockAffinity\n" \
	"  metadata:\n" \
	"    annotations:\n" \
	"      projectcalico.org/metadata: '{\"creationTimestamp\":null}'\n" \
	"    creationTimestamp: \"2024-05-01T10:00:00Z\"\n" \
	"    generation: 2\n" \
	"    name: a1-10-244-1-0-26\n" \
	"    resourceVersion: \"877\"\n" \
	"    uid: 0f2f4a1c-2f38-4f6c-9f19-3a5a5cf9a3b0\n" \
	"  spec:\n" \
	"    cidr: 10.244.1.0/26\n" \
	"    deleted: \"false\"\n" \
	"    node: a1\n" \
	"    state: confirmed\n" \
	"    type: host\n" \
	"- apiVersion: crd.projectcalico.org/v1\n" \
	"  kind: BlockAffinity\n" \
	"  metadata:\n" \
	"    name: lb\n" \
	"  spec:\n" \
	"    cidr: 10.250.1.0/26\n" \
	"    deleted: \"false\"\n" \
	"    node: load-balancer\n" \
	"    state: confirmed\n" \
	"    type: virtual\n" \
	"- apiVersion: crd.projectcalico.org/v1\n" \
	"  kind: IPAMBlock\n" \
	"  metadata:\n" \
	"    name: 10-244-1-0-26\n" \
	"  spec:\n" \
	"    affinity: host:a1\n" \
	"    allocations:\n" \
	"    - 0\n" \
	"    - null\n" \
	"kind: List\n" \
	"metadata:\n" \
	"  resourceVersion: \"\"\n"

/* clang-format on */

#endif
