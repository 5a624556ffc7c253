export const HELP = `Real Kubernetes clusters on this machine, without Docker. Needs root.

  lab up [--clusters east,west] [--nodes 2] [--bare]   bring a lab up; returns when everything is ready
  lab down                                             remove everything of it
  lab ps [--all]                                       every process: role, cluster, node, pid
  lab stop|start|kill ROLE [--cluster C] [--node N]    hold processes down, start them again, SIGKILL them (they come back)
  lab wipe mesh-etcd                                   empty the shared etcd; users and roles are provisioned again
  lab env                                              shell lines that set KUBECONFIG, PATH and MESH_STORE
  lab exec CONTEXT NAMESPACE/POD -- COMMAND            run a command in a pod
  lab load-image FILE.tar [--cluster C]                import a docker-archive on every node
  lab logs ROLE [--cluster C] [--node N] [--tail N]    what processes have written

Roles: lab, kube-apiserver, kube-controller-manager, kube-scheduler, etcd, mesh-etcd, clustermesh-apiserver, containerd, kubelet, node-agent
Every command takes --name NAME (default: lab) and -o json. Exit codes: 0 done, 1 a finding, 2 usage or an unfit machine, 3 time is up.

Examples:
  mesh lab up && eval "$(mesh lab env)" && kubectl --context east get nodes
  mesh lab kill node-agent --cluster east --node east-1
  mesh lab down
`;
