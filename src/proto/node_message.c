/*
 * Nodes believe a sealed message, but it may come from another version, and its texts from
 * strangers: names of tunnels, reasons. So a message is entirely right or refused, before anything
 * of it is used.
 */
#include "proto/node_message.h"

#include "base/err.h"
#include "base/num.h"

static const char *const node_message_names[] = {
	[NODE_MESSAGE_BEAT] = "beat",	    [NODE_MESSAGE_HELLO] = "hello",
	[NODE_MESSAGE_WELCOME] = "welcome", [NODE_MESSAGE_CHANGES] = "changes",
	[NODE_MESSAGE_WANT] = "want",	    [NODE_MESSAGE_WROTE] = "wrote",
	[NODE_MESSAGE_ORDER] = "order",	    [NODE_MESSAGE_ROOM] = "room",
	[NODE_MESSAGE_BYE] = "bye",
};

bool node_message_id_ok(struct str id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!(id.p[i] >= '0' && id.p[i] <= '9') && !(id.p[i] >= 'a' && id.p[i] <= 'f'))
			return false;
	return id.len == NODE_ID_TEXT - 1;
}

/* Bytes of a line: no control characters. */
static bool node_message_text_ok(struct str s, size_t max)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.len <= max;
}

static bool node_message_tunnel_ok(struct str s)
{
	char lower[HOSTNAME_MAX + 1];

	return hostname_tunnel(s, lower) == 0 && str_eq(s, str_of(lower));
}

/* Letters a-z, so that it can be told from the key that follows. */
static bool node_message_word_ok(struct str s, size_t max)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 'a' || s.p[i] > 'z')
			return false;
	return s.len > 0 && s.len <= max;
}

/* No space, so that it can be told from the text that follows. */
static bool node_message_account_ok(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.len > 0 && s.len <= NODE_MESSAGE_ACCOUNT_MAX;
}

/* ---- writing ---- */

static void node_message_pen_hex(struct pen *pen, uint64_t n)
{
	char text[17];
	size_t len = str_printf(text, sizeof text, "%llx", (unsigned long long)n);

	pen_str(pen, (struct str){text, len});
}

static void node_message_pen_hexes(struct pen *pen, struct str word, const uint64_t *n, size_t n_n)
{
	pen_str(pen, word);
	for (size_t i = 0; i < n_n; i++) {
		pen_char(pen, ' ');
		node_message_pen_hex(pen, n[i]);
	}
	pen_char(pen, '\n');
}

static void node_message_pen_text(struct pen *pen, struct str word, struct str text)
{
	CHECK(node_message_text_ok(text, NODE_MESSAGE_TEXT_MAX));
	if (text.len == 0)
		return;
	pen_str(pen, word);
	pen_char(pen, ' ');
	pen_str(pen, text);
	pen_char(pen, '\n');
}

/* What a beat says. */
static void node_message_pen_said(struct pen *pen, const struct node_message *m)
{
	const uint64_t at[] = {m->told, m->head, m->floor, m->n};
	const uint64_t load[] = {m->sessions, m->visitors};

	node_message_pen_hexes(pen, STR("at"), at, ARRAY_LEN(at));
	if (m->n_accounts != 0)
		node_message_pen_hexes(pen, STR("accounts"), &m->n_accounts, 1);
	node_message_pen_text(pen, STR("hop"), m->hop);
	node_message_pen_text(pen, STR("local"), m->local);
	node_message_pen_text(pen, STR("machine"), m->machine);
	node_message_pen_text(pen, STR("agents"), m->agents);
	node_message_pen_text(pen, STR("version"), m->version);
	node_message_pen_hexes(pen, STR("load"), load, ARRAY_LEN(load));
	if (m->draining)
		pen_str(pen, STR("draining 1\n"));
}

static void node_message_pen_order(struct pen *pen, const struct node_message *m)
{
	pen_str(pen, STR("order "));
	node_message_pen_hex(pen, m->order);
	pen_char(pen, ' ');
	pen_str(pen, m->what);
	pen_char(pen, '\n');
	node_message_pen_text(pen, STR("tunnel"), m->tunnel);
	node_message_pen_text(pen, STR("account"), m->account);
	node_message_pen_text(pen, STR("reason"), m->reason);
	if (m->session != 0)
		node_message_pen_hexes(pen, STR("session"), &m->session, 1);
}

void node_message_write(struct pen *pen, const struct node_message *m)
{
	const uint64_t span[] = {m->after, m->upto, m->head, m->floor};

	CHECK(m->kind < ARRAY_LEN(node_message_names));
	pen_str(pen, STR("karez/1 "));
	pen_str(pen, str_of(node_message_names[m->kind]));
	pen_char(pen, ' ');
	pen_str(pen, str_of(m->from));
	pen_char(pen, ' ');
	node_message_pen_hex(pen, m->epoch);
	pen_char(pen, ' ');
	node_message_pen_hex(pen, m->count);
	pen_char(pen, ' ');
	pen_str(pen, m->to[0] == '\0' ? STR("*") : str_of(m->to));
	pen_char(pen, '\n');
	if (m->kind == NODE_MESSAGE_HELLO || m->kind == NODE_MESSAGE_WELCOME)
		node_message_pen_text(pen, STR("nonce"), str_of(m->nonce));
	if (m->kind == NODE_MESSAGE_BEAT || m->kind == NODE_MESSAGE_WELCOME)
		node_message_pen_said(pen, m);
	if (m->kind == NODE_MESSAGE_CHANGES)
		node_message_pen_hexes(pen, STR("span"), span, ARRAY_LEN(span));
	if (m->kind == NODE_MESSAGE_WANT)
		node_message_pen_hexes(pen, STR("since"), &m->since, 1);
	if (m->kind == NODE_MESSAGE_ORDER)
		node_message_pen_order(pen, m);
	if (m->kind == NODE_MESSAGE_ROOM)
		node_message_pen_text(pen, STR("account"), m->account);
}

/* As node_message_add() and the parser agree that it is. */
static bool node_message_item_ok(const struct node_message_item *item)
{
	if (item->kind == NODE_ITEM_HOLDS)
		return node_message_account_ok(item->name);
	if (item->kind == NODE_ITEM_WROTE)
		return node_message_word_ok(item->name, NODE_MESSAGE_KIND_MAX) &&
		       item->text.len > 0 && node_message_text_ok(item->text, NODE_MESSAGE_KEY_MAX);
	return node_message_tunnel_ok(item->name);
}

static const struct str node_message_item_words[] = {
	[NODE_ITEM_SERVES] = {"+", 1},
	[NODE_ITEM_NOT] = {"-", 1},
	[NODE_ITEM_HOLDS] = {"=", 1},
	[NODE_ITEM_WROTE] = {"wrote", 5},
};

bool node_message_add(struct pen *pen, const struct node_message_item *item)
{
	struct pen before = *pen;

	if (!node_message_item_ok(item))
		return false;
	pen_str(pen, node_message_item_words[item->kind]);
	pen_char(pen, ' ');
	pen_str(pen, item->name);
	if (item->kind != NODE_ITEM_NOT) {
		pen_char(pen, ' ');
		pen_str(pen, item->text);
	}
	pen_char(pen, '\n');
	if (!pen->full)
		return true;
	*pen = before;
	return false;
}

/* ---- reading ---- */

bool node_message_split(struct str message, struct str *sealed, struct str *seal)
{
	if (message.len <= NODE_MESSAGE_SEAL)
		return false;
	*sealed = (struct str){message.p, message.len - NODE_MESSAGE_SEAL};
	*seal = (struct str){message.p + sealed->len, NODE_MESSAGE_SEAL};
	return true;
}

/* All of s: numbers with one space between. */
static int node_message_hexes(struct str s, uint64_t *out, size_t n)
{
	struct str piece;

	for (size_t i = 0; i < n; i++)
		if (!str_next(&s, ' ', &piece) || num_parse_hex_exact(piece, &out[i]) != 0)
			return ERR_PROTO;
	return s.p == NULL ? 0 : ERR_PROTO;
}

static int node_message_read_text(struct str value, struct str *out)
{
	if (value.len == 0 || !node_message_text_ok(value, NODE_MESSAGE_TEXT_MAX))
		return ERR_PROTO;
	*out = value;
	return 0;
}

static int node_message_read_nonce(struct node_message *m, struct str value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] <= ' ' || value.p[i] > '~')
			return ERR_PROTO;
	if (value.len != NODE_MESSAGE_NONCE)
		return ERR_PROTO;
	return str_copy(m->nonce, sizeof m->nonce, value);
}

static int node_message_read_at(struct node_message *m, struct str value)
{
	uint64_t n[4];

	if (node_message_hexes(value, n, ARRAY_LEN(n)) != 0 || n[0] > n[1] || n[2] > n[1])
		return ERR_PROTO;
	m->told = n[0];
	m->head = n[1];
	m->floor = n[2];
	m->n = n[3];
	return 0;
}

static int node_message_read_span(struct node_message *m, struct str value)
{
	uint64_t n[4];

	if (node_message_hexes(value, n, ARRAY_LEN(n)) != 0 || n[0] > n[1] || n[1] > n[2] ||
	    n[3] > n[2])
		return ERR_PROTO;
	m->after = n[0];
	m->upto = n[1];
	m->head = n[2];
	m->floor = n[3];
	return 0;
}

static int node_message_read_since(struct node_message *m, struct str value)
{
	return node_message_hexes(value, &m->since, 1);
}

static int node_message_read_accounts(struct node_message *m, struct str value)
{
	if (node_message_hexes(value, &m->n_accounts, 1) != 0)
		return ERR_PROTO;
	return m->n_accounts != 0 ? 0 : ERR_PROTO;
}

static int node_message_read_hop(struct node_message *m, struct str value)
{
	return node_message_read_text(value, &m->hop);
}

static int node_message_read_local(struct node_message *m, struct str value)
{
	return node_message_read_text(value, &m->local);
}

static int node_message_read_machine(struct node_message *m, struct str value)
{
	return node_message_read_text(value, &m->machine);
}

static int node_message_read_agents(struct node_message *m, struct str value)
{
	return node_message_read_text(value, &m->agents);
}

static int node_message_read_version(struct node_message *m, struct str value)
{
	return node_message_read_text(value, &m->version);
}

static int node_message_read_load(struct node_message *m, struct str value)
{
	uint64_t n[2];

	if (node_message_hexes(value, n, ARRAY_LEN(n)) != 0 || n[0] > UINT32_MAX ||
	    n[1] > UINT32_MAX)
		return ERR_PROTO;
	m->sessions = (uint32_t)n[0];
	m->visitors = (uint32_t)n[1];
	return 0;
}

static int node_message_read_draining(struct node_message *m, struct str value)
{
	m->draining = true;
	return str_eq(value, STR("1")) ? 0 : ERR_PROTO;
}

static int node_message_read_order(struct node_message *m, struct str value)
{
	struct str n;

	if (!str_next(&value, ' ', &n) || num_parse_hex_exact(n, &m->order) != 0 || m->order == 0 ||
	    !node_message_word_ok(value, NODE_MESSAGE_KIND_MAX))
		return ERR_PROTO;
	m->what = value;
	return 0;
}

static int node_message_read_tunnel(struct node_message *m, struct str value)
{
	m->tunnel = value;
	return node_message_tunnel_ok(value) ? 0 : ERR_PROTO;
}

static int node_message_read_account(struct node_message *m, struct str value)
{
	return node_message_read_text(value, &m->account);
}

static int node_message_read_reason(struct node_message *m, struct str value)
{
	return node_message_read_text(value, &m->reason);
}

static int node_message_read_session(struct node_message *m, struct str value)
{
	if (node_message_hexes(value, &m->session, 1) != 0)
		return ERR_PROTO;
	return m->session != 0 ? 0 : ERR_PROTO;
}

enum {
	NODE_WORD_NONCE = 1 << 0,
	NODE_WORD_AT = 1 << 1,
	NODE_WORD_SPAN = 1 << 2,
	NODE_WORD_SINCE = 1 << 3,
	NODE_WORD_ORDER = 1 << 4,
	NODE_WORD_TUNNEL = 1 << 5,
	NODE_WORD_ACCOUNT = 1 << 6,
};

/* The place in the table is the bit. */
static const struct node_message_word {
	const char *word;
	int (*read)(struct node_message *m, struct str value);
} node_message_words[] = {
	{"nonce", node_message_read_nonce},	  {"at", node_message_read_at},
	{"span", node_message_read_span},	  {"since", node_message_read_since},
	{"order", node_message_read_order},	  {"tunnel", node_message_read_tunnel},
	{"account", node_message_read_account},	  {"reason", node_message_read_reason},
	{"hop", node_message_read_hop},		  {"local", node_message_read_local},
	{"machine", node_message_read_machine},	  {"agents", node_message_read_agents},
	{"version", node_message_read_version},	  {"load", node_message_read_load},
	{"draining", node_message_read_draining}, {"session", node_message_read_session},
	{"accounts", node_message_read_accounts},
};

static const unsigned node_message_needs[] = {
	[NODE_MESSAGE_BEAT] = NODE_WORD_AT,
	[NODE_MESSAGE_HELLO] = NODE_WORD_NONCE,
	[NODE_MESSAGE_WELCOME] = NODE_WORD_NONCE | NODE_WORD_AT,
	[NODE_MESSAGE_CHANGES] = NODE_WORD_SPAN,
	[NODE_MESSAGE_WANT] = NODE_WORD_SINCE,
	[NODE_MESSAGE_WROTE] = 0,
	[NODE_MESSAGE_ORDER] = NODE_WORD_ORDER | NODE_WORD_TUNNEL | NODE_WORD_ACCOUNT,
	[NODE_MESSAGE_ROOM] = NODE_WORD_ACCOUNT,
	[NODE_MESSAGE_BYE] = 0,
	[NODE_MESSAGE_OTHER] = 0,
};

/* "karez/1 <kind> <from> <epoch> <count> <to>" */
static int node_message_parse_head(struct str line, struct node_message *m)
{
	struct str version, kind, from, epoch, count;

	if (!str_next(&line, ' ', &version) || !str_starts(version, STR("karez/")))
		return ERR_PROTO;
	if (!str_eq(version, STR("karez/1")))
		return ERR_UNSUPPORTED;
	if (!str_next(&line, ' ', &kind) || !str_next(&line, ' ', &from) ||
	    !str_next(&line, ' ', &epoch) || !str_next(&line, ' ', &count) || line.p == NULL)
		return ERR_PROTO;
	if (!node_message_word_ok(kind, NODE_MESSAGE_KIND_MAX) || !node_message_id_ok(from) ||
	    num_parse_hex_exact(epoch, &m->epoch) != 0 ||
	    num_parse_hex_exact(count, &m->count) != 0 || m->count == 0 ||
	    (!str_eq(line, STR("*")) && !node_message_id_ok(line)))
		return ERR_PROTO;
	m->kind = NODE_MESSAGE_OTHER;
	for (size_t i = 0; i < ARRAY_LEN(node_message_names); i++)
		if (str_eq(kind, str_of(node_message_names[i])))
			m->kind = (enum node_message_kind)i;
	if (str_copy(m->from, sizeof m->from, from) != 0 ||
	    (line.len > 1 && str_copy(m->to, sizeof m->to, line) != 0))
		return ERR_PROTO;
	return 0;
}

/* Is it the line of an item? Then it is taken apart, else *e stays. */
static bool node_message_item(struct str word, struct str value, struct node_message_item *item,
			      struct node_entry *entry, int *e)
{
	struct node_held held;
	size_t kind = 0;

	while (kind < ARRAY_LEN(node_message_item_words) &&
	       !str_eq(word, node_message_item_words[kind]))
		kind++;
	if (kind == ARRAY_LEN(node_message_item_words))
		return false;
	*item = (struct node_message_item){.kind = (enum node_message_item_kind)kind};
	item->name = value;
	if (kind != NODE_ITEM_NOT && (!str_next(&value, ' ', &item->name) || value.p == NULL))
		*e = ERR_PROTO;
	else if (kind != NODE_ITEM_NOT)
		item->text = value;
	if (*e == 0 && !node_message_item_ok(item))
		*e = ERR_PROTO;
	if (*e == 0 && kind == NODE_ITEM_SERVES)
		*e = node_entry_parse(item->text, entry);
	if (*e == 0 && kind == NODE_ITEM_HOLDS)
		*e = node_held_parse(item->text, &held);
	return true;
}

bool node_message_next(struct str *items, struct node_message_item *item, struct node_entry *entry)
{
	struct str line, word;
	int e = 0;

	while (items->len > 0) {
		CHECK(str_next(items, '\n', &line) && str_next(&line, ' ', &word));
		if (!node_message_item(word, line, item, entry, &e))
			continue;
		CHECK(e == 0); /* the parser has seen it */
		return true;
	}
	return false;
}

/* One line that is no item. */
static int node_message_parse_word(struct str word, struct str value, struct node_message *m,
				   unsigned *seen)
{
	for (size_t i = 0; i < ARRAY_LEN(node_message_words); i++) {
		if (!str_eq(word, str_of(node_message_words[i].word)))
			continue;
		if (*seen & 1U << i)
			return ERR_PROTO;
		*seen |= 1U << i;
		return node_message_words[i].read(m, value);
	}
	return 0; /* of a later version */
}

int node_message_parse(struct str s, struct node_message *out)
{
	struct node_message m = {.kind = NODE_MESSAGE_OTHER};
	struct node_message_item item;
	struct node_entry entry;
	struct str line, word;
	unsigned seen = 0;
	int e;

	if (s.len == 0 || s.p[s.len - 1] != '\n')
		return ERR_PROTO;
	CHECK(str_next(&s, '\n', &line));
	e = node_message_parse_head(line, &m);
	/* Nobody knows what the words of another kind mean. */
	while (e == 0 && s.len > 0 && m.kind != NODE_MESSAGE_OTHER) {
		const char *start = s.p;

		if (!str_next(&s, '\n', &line) || !str_next(&line, ' ', &word) || word.len == 0)
			return ERR_PROTO;
		if (!node_message_item(word, line, &item, &entry, &e))
			e = m.items.p == NULL ? node_message_parse_word(word, line, &m, &seen) : 0;
		else if (m.items.p == NULL)
			m.items.p = start;
		if (m.items.p != NULL)
			m.items.len = (size_t)(s.p - m.items.p);
	}
	if (e == 0 && (seen & node_message_needs[m.kind]) != node_message_needs[m.kind])
		e = ERR_PROTO;
	if (e == 0 && (seen & NODE_WORD_AT) != 0 && (seen & NODE_WORD_SPAN) != 0)
		e = ERR_PROTO; /* both say where the list ends */
	if (e == 0)
		*out = m;
	return e;
}
