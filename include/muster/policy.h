/* muster/policy.h - how a primary spreads the connections of one listener over its workers. */
#ifndef MUSTER_POLICY_H
#define MUSTER_POLICY_H

enum muster_policy {
	MUSTER_POLICY_DEFAULT = 0,       /* the cluster's; the cluster's own default is round robin */
	MUSTER_POLICY_ROUND_ROBIN,       /* the primary accepts and hands over in turn */
	MUSTER_POLICY_SHARED,            /* every worker accepts on one inherited socket */
	MUSTER_POLICY_LEAST_CONNECTIONS, /* the primary hands over to the worker with the fewest open connections */
};

#endif
