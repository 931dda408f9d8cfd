/* ipc/hook.h - points at which a test may kill a process; they exist in test builds only. */
#ifndef IPC_HOOK_H
#define IPC_HOOK_H

#ifdef MUSTER_TEST_HOOKS
/* Set before the fork it is meant for; called with the name of each point that is passed. */
extern void (*muster__hook)(const char *point);
#define MUSTER__HOOK(point)                                                                                            \
	do {                                                                                                           \
		if (muster__hook != NULL)                                                                              \
			muster__hook(point);                                                                           \
	} while (0)
#else
#define MUSTER__HOOK(point) ((void)0)
#endif

#endif
