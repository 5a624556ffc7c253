export const HELP = `Real Kubernetes clusters on this machine, without Docker. Needs root.

  lab up [--clusters east,west] [--nodes 2] [--bare]   bring a lab up; returns when everything is ready
         [--datapath-mode sockets|packets]             of its agents (packets)
  lab down [--all]                                     remove everything of it, or of every lab of this machine
  lab list                                             the labs of this machine
  lab ps [--all]                                       every process: role, cluster, node, pid
  lab stop|start|kill ROLE [--cluster C] [--node N]    hold processes down, start them again, SIGKILL them (they come back)
  lab wipe mesh-etcd                                   empty the shared etcd; users and roles are provisioned again
  lab env                                              shell lines that set KUBECONFIG, PATH and MESH_STORE
  lab exec CONTEXT NAMESPACE/POD -- COMMAND            run a command in a pod
  lab load-image FILE.tar [--cluster C]                import a docker-archive on every node
  lab logs ROLE [-f] [--tail N] [--cluster C] [--node N]   what processes have written; -f: and write from now on

  lab fault FAULT [--for 30s]                          a fault that ends by itself, also when the lab's supervisor is killed; FAULT:
      dark CLUSTER                no packet leaves or reaches its nodes and its control plane; processes run on
      node CLUSTER/NODE           the same for one node
      path A B [--one-way]        no packet between two of CLUSTER, CLUSTER/NODE; --one-way: none from A to B
      loss A B 5% [--one-way]     a random share of them is lost
      control-plane CLUSTER       SIGKILL of its control plane and clustermesh-apiserver, which stay down
      hang CLUSTER ROLE           SIGSTOP of its processes of this role
  lab fault list                                       the faults in force
  lab fault clear [ID]                                 end one, or all, before its time

Roles: lab, kube-apiserver, kube-controller-manager, kube-scheduler, etcd, mesh-etcd, clustermesh-apiserver, containerd, kubelet, node-agent
Every command takes -o json, and all but list --name NAME (default: lab). Exit codes: 0 done, 1 a finding, 2 usage or an unfit machine, 3 time is up.

Examples:
  mesh lab up && eval "$(mesh lab env)" && kubectl --context east get nodes
  mesh lab kill node-agent --cluster east --node east-1
  mesh lab fault path east west/west-1 --one-way --for 10s
  mesh lab down
`;
