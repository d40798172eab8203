/* Drawing requests: mostly ordinary ones, and some of every odd kind. */
#include "sim/quest.h"

#include "sim/world.h"

/* Bytes of a body, at most; of a slow one, or one with pauses. */
#define BODY_MAX      200000
#define LARGE_MAX     3000000
#define SLOW_BODY_MAX 20000

static void quest_draw_up(struct quest *q, struct dice *d)
{
	if (q->how == QUEST_UPGRADE) {
		q->up = dice_length(d, SLOW_BODY_MAX);
		return;
	}
	q->once = q->how != QUEST_HEAD && dice_chance(d, 35);
	if (!q->once)
		return;
	q->up = dice_chance(d, 10) ? 0 : dice_length(d, BODY_MAX);
	q->up_chunked = !q->minor_0 && dice_chance(d, 40);
	q->expect = !q->minor_0 && q->up > 0 && dice_chance(d, 20);
	q->early = q->up > 0 && dice_chance(d, 10);
}

static void quest_draw(struct quest *q, struct dice *d)
{
	static const enum quest_how hows[] = {QUEST_LENGTH,  QUEST_LENGTH,  QUEST_LENGTH,
					      QUEST_CHUNKED, QUEST_CHUNKED, QUEST_CLOSE,
					      QUEST_NOTHING, QUEST_HEAD,    QUEST_UPGRADE};

	q->how = hows[dice_range(d, 0, ARRAY_LEN(hows) - 1)];
	q->minor_0 = q->how != QUEST_UPGRADE && dice_chance(d, 10);
	quest_draw_up(q, d);
	q->down = q->how == QUEST_NOTHING ? 0
		  : q->how == QUEST_UPGRADE
			  ? q->up
			  : dice_length(d, dice_chance(d, 5) ? LARGE_MAX : BODY_MAX);
	q->wait_ms = dice_chance(d, 60) ? 0 : dice_length(d, 8000);
	if (dice_chance(d, 15)) {
		q->gap_ms = dice_range(d, 1, 400);
		q->down = MIN(q->down, (uint32_t)SLOW_BODY_MAX);
	}
	q->cut = q->down > 0 && (q->how == QUEST_LENGTH || q->how == QUEST_CHUNKED) &&
		 dice_chance(d, 5);
}

struct quest *quest_new(struct world *w, unsigned name, unsigned ip, bool calm)
{
	struct quest *q = must_calloc(1, sizeof *q);

	CHECK(w->n_quests < WORLD_QUESTS_MAX);
	q->id = (unsigned)w->n_quests;
	q->name = name;
	q->ip = ip;
	if (calm)
		q->down = dice_length(&w->stage.dice, 1000);
	else
		quest_draw(q, &w->stage.dice);
	w->quests[w->n_quests++] = q;
	return q;
}

struct quest *quest_find(struct world *w, unsigned id)
{
	return id < w->n_quests ? w->quests[id] : NULL;
}

const char *quest_method(const struct quest *q)
{
	if (q->how == QUEST_HEAD)
		return "HEAD";
	return q->once ? "POST" : "GET";
}

static char quest_byte(const struct quest *q, bool answer, uint64_t at)
{
	uint64_t z = (at >> 3) + ((uint64_t)(2 * q->id + answer) << 40);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return (char)(z >> (8 * (at & 7)));
}

void quest_fill(const struct quest *q, bool answer, uint64_t at, char *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = quest_byte(q, answer, at + i);
}

bool quest_match(const struct quest *q, bool answer, uint64_t at, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != quest_byte(q, answer, at + i))
			return false;
	return true;
}
