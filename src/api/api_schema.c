/* What the API's objects are made of. Bounds are those of the records behind them. */
#include "api/api_schema.h"

#include "api/api.h"
#include "core/manage.h"
#include "core/password.h"
#include "proto/json.h"

#define FIELDS(array) .fields = (array), .n_fields = ARRAY_LEN(array)

#define TEXT(n, most, what)                                                  \
	{                                                                    \
		.name = (n), .type = API_TEXT, .max = (most), .help = (what) \
	}
#define NUMBER(n, most, what)                                                  \
	{                                                                      \
		.name = (n), .type = API_NUMBER, .max = (most), .help = (what) \
	}
#define FLAG(n, what)                                         \
	{                                                     \
		.name = (n), .type = API_BOOL, .help = (what) \
	}
#define TIME(n, what)                                         \
	{                                                     \
		.name = (n), .type = API_TIME, .help = (what) \
	}
#define OBJECT(n, schema, what)                                                  \
	{                                                                        \
		.name = (n), .type = API_OBJECT, .of = &(schema), .help = (what) \
	}

/* The same, told but not taken. */
#define TOLD_TEXT(n, what)                                             \
	{                                                              \
		.name = (n), .type = API_TEXT, .flags = API_READ_ONLY, \
		.max = RECORD_PUBLIC_TEXT - 1, .help = (what)          \
	}
#define TOLD_NUMBER(n, what)                                                                     \
	{                                                                                        \
		.name = (n), .type = API_NUMBER, .flags = API_READ_ONLY, .max = JSON_NUMBER_MAX, \
		.help = (what)                                                                   \
	}
#define TOLD_FLAG(n, what)                                                            \
	{                                                                             \
		.name = (n), .type = API_BOOL, .flags = API_READ_ONLY, .help = (what) \
	}
#define TOLD_TIME(n, what)                                                            \
	{                                                                             \
		.name = (n), .type = API_TIME, .flags = API_READ_ONLY, .help = (what) \
	}
#define TOLD_OBJECT(n, schema, what)                                                      \
	{                                                                                 \
		.name = (n), .type = API_OBJECT, .flags = API_READ_ONLY, .of = &(schema), \
		.help = (what)                                                            \
	}

#define QUOTA_MAX 1000000
#define USES_MAX  1000000

static const char *const types[] = {"number", "token", "ssh-key", "certificate", NULL};
static const char *const new_types[] = {"token", "ssh-key", "certificate", NULL};
static const char *const registrations[] = {"closed", "invitation", "open", NULL};
static const char *const statuses[] = {"ok", "ready", NULL};

const struct api_field *api_schema_field(const struct api_schema *s, size_t i)
{
	while (s != NULL && i >= s->n_fields) {
		i -= s->n_fields;
		s = s->more;
	}
	return s == NULL ? NULL : &s->fields[i];
}

/* ---- accounts ---- */

const struct api_schema api_schema_empty = {.name = "Nothing", .help = "An object without members"};

static const struct api_field problem_fields[] = {
	TOLD_TEXT("type", "Always about:blank"),
	TOLD_TEXT("title", "What the code means, for people"),
	TOLD_NUMBER("status", "The status of the answer"),
	TOLD_TEXT("detail", "What is wrong here and what to do, for people"),
	TOLD_TEXT("code", "What is wrong, for programs: stable"),
	TOLD_TEXT("error", "The same as code, for scripts written for exposr"),
	TOLD_TEXT("field", "The member of the body or query that is at fault"),
	TOLD_NUMBER("entry", "The entry of a list of tunnels that is at fault, from 0"),
};
const struct api_schema api_schema_problem = {.name = "Problem",
					      .help = "Why a request is refused (RFC 9457)",
					      FIELDS(problem_fields)};

static const struct api_field quota_fields[] = {
	NUMBER("tunnels", QUOTA_MAX, "Tunnels that it may have"),
	NUMBER("sessions", QUOTA_MAX, "Sessions of agents at one time, on one node"),
	NUMBER("credentials", QUOTA_MAX, "Credentials that it may have"),
};
static const struct api_schema quota = {.name = "Quota", FIELDS(quota_fields)};

static const struct api_field usage_fields[] = {
	TOLD_NUMBER("tunnels", "Tunnels that it has"),
	TOLD_NUMBER("credentials", "Credentials that it has"),
};
static const struct api_schema usage = {.name = "Usage", FIELDS(usage_fields)};

static const struct api_field account_fields[] = {
	TOLD_TEXT("id", "Names it; public"),
	TEXT("name", RECORD_NAME_TEXT - 1, "For people"),
	FLAG("enabled", "False: nothing that it owns can be used"),
	TEXT("reason", RECORD_WHY_TEXT - 1, "Why it is switched off"),
	FLAG("admin", "May use the routes under /v1/admin"),
	TOLD_FLAG("automatic", "Made on the fly for an agent that had no credential"),
	TOLD_TIME("created_at", "When it was made"),
	TOLD_TIME("used_at", "Last use, to the hour"),
	OBJECT("quota", quota, "What it may have"),
	{.name = "ports",
	 .type = API_LIST,
	 .max = ACCESS_PORTS_MAX,
	 .text_max = 11,
	 .help = "Ports that its tunnels may have, \"443\" or \"2000-2010\"; empty: all of the "
		 "server's"},
	TOLD_OBJECT("usage", usage, "What it has"),
};
const struct api_schema api_schema_account = {.name = "Account",
					      .help = "Whoever owns tunnels",
					      FIELDS(account_fields)};

static const struct api_field account_new_fields[] = {
	TEXT("invitation", 128, "The code of an invitation, where the server asks for one"),
	TEXT("name", RECORD_NAME_TEXT - 1, "For people"),
};
const struct api_schema api_schema_account_new = {.name = "NewAccount", FIELDS(account_new_fields)};

static const struct api_field account_made_fields[] = {
	TOLD_TEXT("id", "Names it; public"),
	TOLD_TEXT("account_id", "Its number: a secret that proves the account, told once"),
	TOLD_TEXT("account_id_hr", "The same with hyphens, to be written down"),
	TOLD_TEXT("token", "A first token, told once"),
};
const struct api_schema api_schema_account_made = {.name = "MadeAccount",
						   FIELDS(account_made_fields)};

static const struct api_field account_self_fields[] = {
	TEXT("name", RECORD_NAME_TEXT - 1, "For people"),
};
const struct api_schema api_schema_account_self = {.name = "AccountChange",
						   FIELDS(account_self_fields)};

static const struct api_field account_disable_fields[] = {
	{.name = "disable", .type = API_BOOL, .flags = API_REQUIRED, .help = "True: switch it off"},
	TEXT("reason", RECORD_WHY_TEXT - 1, "Why"),
};
const struct api_schema api_schema_account_disable = {.name = "Disable",
						      FIELDS(account_disable_fields)};

static const struct api_field number_fields[] = {
	TOLD_TEXT("account_id", "The new number, told once; the old one is good for nothing now"),
	TOLD_TEXT("account_id_hr", "The same with hyphens"),
};
const struct api_schema api_schema_number = {.name = "Number", FIELDS(number_fields)};

static const struct api_field old_token_fields[] = {
	TOLD_TEXT("token", "The account's number in base64, as exposr's programs send it"),
};
const struct api_schema api_schema_old_token = {.name = "NumberToken", FIELDS(old_token_fields)};

/* ---- credentials ---- */

static const struct api_field scope_fields[] = {
	{.name = "tunnels",
	 .type = API_LIST,
	 .max = 64,
	 .text_max = HOSTNAME_MAX,
	 .help = "Names of tunnels, or \"*.tim\" for all names under tim; empty: all"},
	{.name = "kinds",
	 .type = API_LIST,
	 .max = TUNNEL_KINDS,
	 .text_max = 8,
	 .words = tunnel_word_kinds,
	 .help = "Kinds of tunnels; empty: all"},
	{.name = "ports",
	 .type = API_LIST,
	 .max = ACCESS_PORTS_MAX,
	 .text_max = 11,
	 .help = "Ports of TCP tunnels, \"443\" or \"2000-2010\"; empty: all"},
	{.name = "expires_at",
	 .type = API_TIME,
	 .flags = API_NULLABLE,
	 .help = "From when it is good for nothing; not there: never"},
};
static const struct api_schema scope = {.name = "Scope",
					.help = "What a credential is good for; replaced whole",
					FIELDS(scope_fields)};

static const struct api_field credential_fields[] = {
	TOLD_TEXT("id", "Names it within its account"),
	{.name = "type",
	 .type = API_TEXT,
	 .flags = API_READ_ONLY,
	 .max = 16,
	 .words = types,
	 .help = "What it is"},
	TEXT("name", RECORD_NAME_TEXT - 1, "For people"),
	TOLD_TEXT("shown", "A token's first characters, a public key, a certificate's subject"),
	OBJECT("scope", scope, "What it is good for"),
	TOLD_TIME("created_at", "When it was made"),
	TOLD_TIME("used_at", "Last use, to the minute"),
	TOLD_FLAG("self", "It is the one that this request was made with"),
	TOLD_TEXT("token", "The token itself, told once: when it is made"),
};
const struct api_schema api_schema_credential = {.name = "Credential",
						 .help = "One way to prove an account",
						 FIELDS(credential_fields)};

static const struct api_field credential_new_fields[] = {
	{.name = "type",
	 .type = API_TEXT,
	 .flags = API_REQUIRED,
	 .max = 16,
	 .words = new_types,
	 .help = "What it is"},
	TEXT("name", RECORD_NAME_TEXT - 1, "For people"),
	OBJECT("scope", scope, "What it is good for; not there: everything, for ever"),
	{.name = "key",
	 .type = API_TEXT,
	 .flags = API_LINES,
	 .max = RECORD_PUBLIC_TEXT - 1,
	 .help = "The line of an OpenSSH public key; with ssh-key"},
	TEXT("subject", RECORD_PUBLIC_TEXT - 1,
	     "The name that the certificate is made out to; with certificate"),
};
const struct api_schema api_schema_credential_new = {.name = "NewCredential",
						     FIELDS(credential_new_fields)};

/* ---- tunnels ---- */

static const struct api_field connection_fields[] = {
	TOLD_FLAG("connected", "Somebody serves it on this node"),
	TOLD_NUMBER("connections", "Sessions that serve it"),
	TOLD_TIME("connected_at", "Since when the oldest of them is there"),
	TOLD_NUMBER("visitors", "Visitors that it serves now"),
};
static const struct api_schema connection = {.name = "Connection", FIELDS(connection_fields)};

static const struct api_field old_switch_fields[] = {
	FLAG("enabled", "exposr's"),
	TOLD_TEXT("url", "exposr's"),
};
static const struct api_schema old_switch = {.name = "Switch", FIELDS(old_switch_fields)};

static const struct api_field transport_fields[] = {
	{.name = "max_connections",
	 .type = API_NUMBER,
	 .min = 1,
	 .max = RECORD_SESSIONS_MAX,
	 .help = "Sessions that may serve it at one time"},
	{.name = "policy",
	 .type = API_TEXT,
	 .max = 16,
	 .words = tunnel_word_policies,
	 .help = "Which of its sessions gets a visitor"},
	{.name = "agents",
	 .type = API_LIST,
	 .max = RECORD_AGENTS_MAX,
	 .text_max = CORE_AGENT_TEXT - 1,
	 .help = "Who may serve it, the best first; empty: any agent of the account"},
	NUMBER("drain", RECORD_DRAIN_MAX / 1000,
	       "Seconds that running connections may go on when it moves to other agents"),
	TOLD_TEXT("connect_url", "Where agents connect"),
	{.name = "ws",
	 .type = API_OBJECT,
	 .flags = API_IGNORED,
	 .of = &old_switch,
	 .help = "exposr's; without effect"},
	{.name = "ssh",
	 .type = API_OBJECT,
	 .flags = API_IGNORED,
	 .of = &old_switch,
	 .help = "exposr's; without effect"},
};
static const struct api_schema transport = {.name = "Transport", FIELDS(transport_fields)};

static const struct api_field http_fields[] = {
	FLAG("enabled", "The same as enabled of the tunnel"),
	TOLD_TEXT("url", "Where visitors reach it"),
	{.name = "urls",
	 .type = API_LIST,
	 .flags = API_READ_ONLY,
	 .max = CORE_URLS_MAX,
	 .text_max = CORE_URL_TEXT - 1,
	 .help = "The same with its custom domains"},
	{.name = "alt_names",
	 .type = API_LIST,
	 .max = RECORD_ALT_NAMES_MAX,
	 .text_max = HOSTNAME_MAX,
	 .help = "Custom domains, the same as domains; a new one must be proven by the DNS"},
};
static const struct api_schema http_door = {.name = "HttpIngress",
					    .help = "Told of an http tunnel",
					    FIELDS(http_fields)};

static const struct api_field tcp_fields[] = {
	NUMBER("port", UINT16_MAX,
	       "Where visitors reach it; 0: the one that it has, or a free one"),
	TEXT("bind", RECORD_BIND_TEXT - 1,
	     "The address that it listens on: an IP, \"localhost\", or empty: where the server "
	     "does"),
};
static const struct api_schema tcp_door = {.name = "TcpIngress",
					   .help = "Told of a tcp tunnel",
					   FIELDS(tcp_fields)};

static const struct api_field tls_fields[] = {
	{.name = "mode",
	 .type = API_TEXT,
	 .max = 8,
	 .words = tunnel_word_tlses,
	 .help = "What becomes of its visitors' TLS: passed through, or ended by the server"},
};
static const struct api_schema tls_door = {.name = "TlsIngress",
					   .help = "Told of a tls tunnel",
					   FIELDS(tls_fields)};

static const struct api_field ingress_fields[] = {
	OBJECT("http", http_door, "By HTTP"),
	OBJECT("tcp", tcp_door, "By a port of its own"),
	OBJECT("tls", tls_door, "By TLS, found by the server name"),
	{.name = "sni",
	 .type = API_OBJECT,
	 .flags = API_IGNORED,
	 .of = &old_switch,
	 .help = "exposr's; switched on: a tls tunnel whose TLS is passed through"},
};
static const struct api_schema ingress = {.name = "Ingress",
					  .help = "What its kind does not have is not told",
					  FIELDS(ingress_fields)};

static const struct api_field target_fields[] = {
	TEXT("url", RECORD_TARGET_MAX, "What the agent connects to: a hint, the agent decides"),
	TEXT("service", RECORD_SERVICE_TEXT - 1,
	     "What the agent calls it: 1-64 of A-Z a-z 0-9 . _ -; empty: by the tunnel's name"),
	{.name = "proxy_protocol",
	 .type = API_TEXT,
	 .max = 8,
	 .words = tunnel_word_proxies,
	 .help = "The header that tells it who the visitor is"},
};
static const struct api_schema target = {.name = "Target", FIELDS(target_fields)};

#define EDITS(what, most, text)                                                               \
	{                                                                                     \
		.name = (what), .type = API_LIST, .max = HEADER_EDIT_MAX, .text_max = (most), \
		.help = (text)                                                                \
	}
static const struct api_field headers_fields[] = {
	FLAG("rewrite", "Host, Origin and Referer become the target's"),
	TEXT("host", HOSTNAME_AUTHORITY_MAX,
	     "Host becomes this, \"app.local\" or \"localhost:3000\"; empty: not; not with "
	     "rewrite"),
	EDITS("request_remove", HEADER_EDIT_NAME_MAX,
	      "Fields of visitors that the target does not get: \"Cookie\""),
	EDITS("request_add", HEADER_EDIT_TEXT - 1,
	      "Fields that the target gets besides: \"X-Env: test\"; removing comes first"),
	EDITS("response_remove", HEADER_EDIT_NAME_MAX,
	      "Fields of the target that visitors do not get"),
	EDITS("response_add", HEADER_EDIT_TEXT - 1, "Fields that visitors get besides"),
};
static const struct api_schema headers = {.name = "Headers",
					  .help = "Of http tunnels; 4096 bytes in all",
					  FIELDS(headers_fields)};

static const struct api_field basic_fields[] = {
	{.name = "user",
	 .type = API_TEXT,
	 .flags = API_REQUIRED,
	 .min = 1,
	 .max = RIGHTS_USER_TEXT - 1,
	 .help = "Without a colon"},
	{.name = "password",
	 .type = API_TEXT,
	 .flags = API_WRITE_ONLY,
	 .min = 1,
	 .max = PASSWORD_MAX,
	 .help = "Not there: it stays what it is"},
	{.name = "hash",
	 .type = API_TEXT,
	 .flags = API_WRITE_ONLY,
	 .min = 1,
	 .max = RIGHTS_HASH_TEXT - 1,
	 .help = "In place of a password: its scrypt hash as a PHC string, of ln=14,r=8,p=1"},
};
static const struct api_schema basic = {.name = "BasicUser", FIELDS(basic_fields)};

static const struct api_field visitors_fields[] = {
	{.name = "basic",
	 .type = API_LIST,
	 .max = RIGHTS_USERS_MAX,
	 .of = &basic,
	 .help = "Who is let in by user name and password"},
	{.name = "bearer",
	 .type = API_LIST,
	 .flags = API_COUNTED,
	 .max = RIGHTS_BEARERS_MAX,
	 .text_max = 128,
	 .help = "Tokens of 16 to 128 characters that let in; told is only how many there are"},
	{.name = "allow",
	 .type = API_LIST,
	 .max = RIGHTS_BLOCKS_MAX,
	 .text_max = CIDR_TEXT_MAX,
	 .help = "Addresses or blocks that are let in; empty: all"},
	{.name = "deny",
	 .type = API_LIST,
	 .max = RIGHTS_BLOCKS_MAX,
	 .text_max = CIDR_TEXT_MAX,
	 .help = "Addresses or blocks that are not; stronger than allow"},
	TEXT("auth_url", RIGHTS_URL_TEXT - 1, "A service that decides about each request"),
};
static const struct api_schema visitors = {.name = "VisitorRights",
					   .help = "Whom it lets in; all empty: everybody",
					   FIELDS(visitors_fields)};

static const struct api_field tunnel_fields[] = {
	TOLD_TEXT("id", "The same as name"),
	{.name = "name",
	 .type = API_TEXT,
	 .min = 1,
	 .max = HOSTNAME_MAX,
	 .help = "What stands before the domain; in a change, the one that it has"},
	{.name = "kind",
	 .type = API_TEXT,
	 .max = 8,
	 .words = tunnel_word_kinds,
	 .help = "What it carries"},
	FLAG("enabled", "False: nobody is served"),
	TOLD_FLAG("temporary", "It goes when nobody serves it any more; any change makes it stay"),
	{.name = "urls",
	 .type = API_LIST,
	 .flags = API_READ_ONLY,
	 .max = CORE_URLS_MAX,
	 .text_max = CORE_URL_TEXT - 1,
	 .help = "Where visitors reach it, the one to be shown first"},
	{.name = "domains",
	 .type = API_LIST,
	 .max = RECORD_ALT_NAMES_MAX,
	 .text_max = HOSTNAME_MAX,
	 .help = "Custom domains, of a tls tunnel also \"*.example.org\"; a new one must be proven "
		 "by the DNS; of an http tunnel it is told as ingress.http.alt_names"},
	TOLD_OBJECT("connection", connection, "Who serves it now"),
	OBJECT("transport", transport, "How agents serve it"),
	OBJECT("ingress", ingress, "How visitors reach it"),
	OBJECT("target", target, "What is behind it"),
	OBJECT("headers", headers, "What is changed in requests and answers"),
	OBJECT("visitors", visitors, "Whom it lets in"),
	TOLD_TEXT("owner", "The id of its account"),
	TOLD_TIME("created_at", "When it was made"),
	TOLD_TIME("updated_at", "When it was changed last"),
};
const struct api_schema api_schema_tunnel = {.name = "Tunnel",
					     .help = "A public name and what it does",
					     FIELDS(tunnel_fields)};

static const struct api_field tunnels_fields[] = {
	{.name = "tunnels",
	 .type = API_LIST,
	 .flags = API_REQUIRED,
	 .max = MANAGE_LIST_MAX,
	 .of = &api_schema_tunnel,
	 .help = "All that there shall be; one without a name keeps that of the tunnel with its "
		 "port or domains, or gets a random one"},
};
const struct api_schema api_schema_tunnels = {.name = "TunnelList", FIELDS(tunnels_fields)};

static const struct api_field owned_tunnel_fields[] = {
	TEXT("account", CORE_ID_TEXT - 1,
	     "The id of its account; not there: its owner, or the asker"),
};
static const struct api_schema owned_tunnel = {.name = "OwnedTunnel",
					       .help = "A tunnel of any account",
					       FIELDS(owned_tunnel_fields),
					       .more = &api_schema_tunnel};

static const struct api_field all_tunnels_fields[] = {
	{.name = "tunnels",
	 .type = API_LIST,
	 .flags = API_REQUIRED,
	 .max = MANAGE_LIST_MAX,
	 .of = &owned_tunnel,
	 .help = "All that there shall be, of all accounts"},
};
const struct api_schema api_schema_all_tunnels = {.name = "OwnedTunnelList",
						  FIELDS(all_tunnels_fields)};

static const struct api_field agent_fields[] = {
	TOLD_TEXT("id", "What it calls itself"),
	TOLD_TEXT("owner", "The id of its account"),
	TOLD_FLAG("connected", "It has a session"),
	TOLD_NUMBER("sessions", "How many"),
	TOLD_TIME("since_at", "When it came, or went"),
	TOLD_FLAG("returned", "It had been here, and gone, before"),
	{.name = "nodes",
	 .type = API_LIST,
	 .flags = API_READ_ONLY,
	 .max = CORE_AGENT_NODES_MAX,
	 .text_max = NODE_ID_TEXT - 1,
	 .help = "In a cluster: the nodes that it is connected to"},
};
const struct api_schema api_schema_agent = {.name = "Agent",
					    .help = "A program that serves tunnels, or did",
					    FIELDS(agent_fields)};

static const struct api_field session_fields[] = {
	TOLD_NUMBER("id", "Names it at any node"),
	TOLD_TEXT("node", "In a cluster: the node that it is at"),
	TOLD_TEXT("kind", "What carries it: mux (karez), or ssh (a stock client)"),
	TOLD_TEXT("agent", "What the agent calls itself"),
	TOLD_NUMBER("carrier", "Which of its parallel sessions"),
	TOLD_NUMBER("epoch", "Grows with each start of the agent"),
	TOLD_TEXT("ip", "Where it comes from"),
	TOLD_NUMBER("port", "The same"),
	TOLD_TIME("connected_at", "Since when"),
	TOLD_NUMBER("rtt_us", "Round trip, in microseconds; 0: not known yet"),
	TOLD_NUMBER("streams",
		    "Streams in it now: one of the agent's own, the others for visitors"),
	TOLD_FLAG("draining", "It takes no new ones"),
	TOLD_FLAG("late", "It does not answer its pings in time: others go first"),
	TOLD_FLAG("down", "Its target fails its health check: others go first"),
	TOLD_NUMBER("priority", "Less goes first, with the policy failover"),
};
const struct api_schema api_schema_session = {.name = "Session",
					      .help = "A connection of an agent",
					      FIELDS(session_fields)};

static const struct api_field visitor_fields[] = {
	TOLD_TEXT("ip", "Where it comes from"),
	TOLD_NUMBER("port", "The same"),
	TOLD_TEXT("host", "The Host that it asked for"),
	TOLD_TEXT("protocol", "The door that it came through"),
	TOLD_TIME("since_at", "Since when it is served"),
	TOLD_TEXT("node", "In a cluster: the node that it came to"),
};
const struct api_schema api_schema_visitor = {.name = "Visitor",
					      .help = "Somebody who is being served",
					      FIELDS(visitor_fields)};

static const struct api_field disconnect_fields[] = {
	TEXT("reason", 200, "A sentence that the agent prints"),
};
const struct api_schema api_schema_disconnect = {.name = "Disconnect", FIELDS(disconnect_fields)};

static const struct api_field result_fields[] = {
	TOLD_FLAG("result", "False: nobody was connected"),
};
const struct api_schema api_schema_result = {.name = "Result", FIELDS(result_fields)};

/* ---- administrators ---- */

static const struct api_field invitation_fields[] = {
	TOLD_TEXT("id", "Names it"),
	TOLD_TEXT("name", "For people"),
	TOLD_NUMBER("uses", "Accounts that it may still make"),
	TOLD_TIME("created_at", "When it was made"),
	TOLD_TIME("expires_at", "Until when it can be used"),
	TOLD_TEXT("code", "The code itself, told once: when it is made"),
};
const struct api_schema api_schema_invitation = {.name = "Invitation",
						 .help = "Lets strangers make accounts",
						 FIELDS(invitation_fields)};

static const struct api_field invitation_new_fields[] = {
	TEXT("name", RECORD_NAME_TEXT - 1, "For people"),
	{.name = "uses",
	 .type = API_NUMBER,
	 .min = 1,
	 .max = USES_MAX,
	 .help = "Accounts that it may make; not there: 1"},
	{.name = "expires_at",
	 .type = API_TIME,
	 .flags = API_NULLABLE,
	 .help = "Until when it can be used; not there: for ever"},
};
const struct api_schema api_schema_invitation_new = {.name = "NewInvitation",
						     FIELDS(invitation_new_fields)};

static const struct api_field peer_fields[] = {
	TOLD_TEXT("id", "Of the process: another one after each start; empty when it is alone"),
	TOLD_FLAG("this", "It is the one that answers"),
	TOLD_TEXT("version", "Of karezd"),
	TOLD_TIME("since_at", "When it was started"),
	TOLD_NUMBER("epoch", "The same, in milliseconds since 1970"),
	TOLD_NUMBER("sessions", "Sessions of agents"),
	TOLD_NUMBER("visitors", "Visitors being served"),
	TOLD_FLAG("draining", "It goes soon, and takes no new agents"),
	TOLD_TEXT("hop", "Where other nodes reach it; empty: nowhere"),
	TOLD_TEXT("agent_url", "Where agents reach just this one; empty: nowhere"),
	TOLD_TEXT("machine", "Equal for workers of one supervisor; empty: it has none"),
};
const struct api_schema api_schema_peer = {.name = "ClusterNode",
					   .help = "A node of the cluster, as it tells the others",
					   FIELDS(peer_fields)};

static const struct api_field cluster_fields[] = {
	TOLD_NUMBER("nodes", "That are there now, this one included"),
};
static const struct api_schema cluster = {.name = "Cluster", FIELDS(cluster_fields)};

static const struct api_field node_fields[] = {
	TOLD_TEXT("version", "Of karezd"),
	TOLD_NUMBER("uptime_s", "Seconds since its start"),
	TOLD_NUMBER("sessions", "Sessions of agents"),
	TOLD_NUMBER("streams", "Streams in them, one of each for the agent itself"),
	TOLD_NUMBER("connections", "Connections that speak HTTP"),
	TOLD_NUMBER("exchanges", "Visitors being served"),
	TOLD_NUMBER("window_used", "Bytes of --window-total in use"),
	TOLD_OBJECT("cluster", cluster, "The nodes that it knows"),
	TOLD_TEXT("store", "Where records are kept"),
};
const struct api_schema api_schema_node = {.name = "Node",
					   .help = "What this process does now",
					   FIELDS(node_fields)};

/* ---- anybody ---- */

static const struct api_field status_fields[] = {
	{.name = "status",
	 .type = API_TEXT,
	 .flags = API_READ_ONLY,
	 .max = 8,
	 .words = statuses,
	 .help = "How it is"},
};
const struct api_schema api_schema_status = {.name = "Status", FIELDS(status_fields)};

static const struct api_field version_fields[] = {
	TOLD_TEXT("name", "karezd"),
	TOLD_TEXT("version", "Of karezd"),
	{.name = "protocols",
	 .type = API_LIST,
	 .flags = API_READ_ONLY,
	 .max = 8,
	 .text_max = 32,
	 .help = "That agents may speak"},
	{.name = "registration",
	 .type = API_TEXT,
	 .flags = API_READ_ONLY,
	 .max = 16,
	 .words = registrations,
	 .help = "Who may make an account"},
	TOLD_TEXT("domain", "Tunnels are names under it"),
};
const struct api_schema api_schema_version = {.name = "Version", FIELDS(version_fields)};

static const struct api_field host_key_fields[] = {
	TOLD_TEXT("type", "As SSH calls it: ssh-ed25519"),
	TOLD_TEXT("fingerprint", "As ssh shows it: SHA256:..."),
	TOLD_TEXT("key", "Type and key as known_hosts has them"),
};
static const struct api_schema host_key = {.name = "HostKey",
					   .help = "By what a client of SSH knows this server",
					   FIELDS(host_key_fields)};

static const struct api_field ssh_fields[] = {
	{.name = "host_keys",
	 .type = API_LIST,
	 .flags = API_READ_ONLY,
	 .max = API_SSH_KEYS_MAX,
	 .of = &host_key,
	 .help = "One of each type"},
	{.name = "ports",
	 .type = API_LIST,
	 .flags = API_READ_ONLY | API_NUMBERS,
	 .max = API_SSH_PORTS_MAX,
	 .help = "Where it listens"},
};
const struct api_schema api_schema_ssh = {.name = "Ssh",
					  .help = "The door for clients of SSH",
					  FIELDS(ssh_fields)};

static const struct api_field opened_fields[] = {
	TOLD_TEXT("host", "The public name with its domain"),
	TOLD_TEXT("name", "The tunnel's name"),
	TOLD_TEXT("url", "Where visitors will reach it"),
	{.name = "urls",
	 .type = API_LIST,
	 .flags = API_READ_ONLY,
	 .max = CORE_URLS_MAX,
	 .text_max = CORE_URL_TEXT - 1,
	 .help = "The same with its custom domains"},
	TOLD_TEXT("server", "What karez --server wants"),
	TOLD_TEXT("connect_url", "Where agents connect"),
	TOLD_TEXT("token", "Of the account that was made for it, told once"),
	TOLD_TEXT("account_id_hr", "The number of that account, told once"),
	TOLD_TEXT("command", "What to type, with PORT in place of the service's port"),
	TOLD_TEXT("banner", "A sentence for people"),
};
const struct api_schema api_schema_opened = {.name = "Opened",
					     .help = "Everything needed to connect",
					     FIELDS(opened_fields)};
