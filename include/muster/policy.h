/* muster/policy.h - how a primary spreads the connections of one listener over its workers. */
#ifndef MUSTER_POLICY_H
#define MUSTER_POLICY_H

enum muster_policy {
	MUSTER_POLICY_DEFAULT = 0,       /* the cluster's; the cluster's own default is round robin */
	MUSTER_POLICY_ROUND_ROBIN,       /* the primary accepts and hands over in turn */
	MUSTER_POLICY_SHARED,            /* every worker accepts on one inherited socket */
	MUSTER_POLICY_LEAST_CONNECTIONS, /* the primary hands over to the worker with the fewest open connections */
	/*
	 * Every worker accepts on a SO_REUSEPORT socket of its own, which the primary made and keeps: what is queued on it
	 * when its worker dies is served by the others, or by the worker that follows. A UNIX path is shared instead, with
	 * a warning: it has no such sockets. Not the listen option .reuse_port, with which a worker binds alone.
	 */
	MUSTER_POLICY_REUSE_PORT,
	/*
	 * The primary hands all to one worker: of those that listen the one that was forked into the lowest place, and
	 * from its first connection on it alone until it goes; then the next. Not the listen option .exclusive, which
	 * leaves the primary out.
	 */
	MUSTER_POLICY_EXCLUSIVE,
};

#endif
