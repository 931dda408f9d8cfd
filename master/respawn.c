/* A worker has worked if it listened and either served someone or stayed for a second. */
#include "master/respawn.h"

#define PROOF_MS 1000

/* The first delay, doubled so often, up to the longest. */
static unsigned grown(const struct muster__respawn_rules *rules, unsigned times)
{
	unsigned delay = rules->backoff_ms;

	for (; times > 0 && delay < rules->backoff_max_ms; times--)
		delay = delay <= rules->backoff_max_ms / 2 ? delay * 2 : rules->backoff_max_ms;
	return delay < rules->backoff_max_ms ? delay : rules->backoff_max_ms;
}

unsigned muster__respawn_delay(const struct muster__respawn_rules *rules, const struct muster__death *death,
			       unsigned *failures)
{
	bool worked = death->listened && (death->served || death->lived_ms >= PROOF_MS);
	unsigned delay;

	if (worked || death->lived_ms >= rules->backoff_max_ms) {
		*failures = 0;
		return 0;
	}
	/* The first time it may be anything: a kill, a full disk. Somebody who listened gets another chance at once. */
	if (death->listened && *failures == 0) {
		*failures = 1;
		return 0;
	}
	delay = grown(rules, *failures - death->listened);
	++*failures;
	return delay;
}

unsigned muster__respawn_retry(const struct muster__respawn_rules *rules, unsigned *refusals)
{
	unsigned delay = grown(rules, *refusals);

	++*refusals;
	return delay;
}

bool muster__respawn_is_over(const struct muster__respawn_rules *rules, const struct muster__death *death,
			     unsigned failures)
{
	return rules->budget != 0 && failures >= rules->budget && !death->listened;
}
