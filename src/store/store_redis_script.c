/*
 * Redis runs a script alone, but does not undo half of one: so a batch is judged wholly before the
 * first write, and the first write is one that Redis refuses when it refuses any (no memory, no
 * disk, a replica), with pcall so that the error comes back as it is in every version of Redis.
 *
 * Numbers in Lua are doubles: versions stay exact below 2^53, which 10,000 writes a second reach in
 * 28,000 years. They are compared as texts.
 *
 * Another run id than the one that wrote last means that Redis was started anew or that a replica
 * took over, and it may have lost the last writes with the versions they were given. A version must
 * never be given twice, so the count jumps ahead by more than can have been lost.
 */
#include "store/store_redis_script.h"

#include "store/store.h"

/* A number of ours as text. */
#define SCRIPT_TEXT(n)	  SCRIPT_TEXT_OF(n)
#define SCRIPT_TEXT_OF(n) #n

/* keep(a, version, n): do the line of a batch that begins at ARGV[a]; of a put with this version.
 * n: its number in the log; nil: it is not told there. */
#define SCRIPT_KEEP                                                            \
	"local function keep(a, version, n)\n"                                 \
	"  local kind, key, expires = ARGV[a + 1], ARGV[a + 2], ARGV[a + 4]\n" \
	"  local id = kind .. '/' .. key\n"                                    \
	"  if ARGV[a] == 'p' then\n"                                           \
	"    redis.call('SET', P .. 'r:' .. id,\n"                             \
	"               version .. ' ' .. expires .. ' ' .. ARGV[a + 5])\n"    \
	"    redis.call('ZADD', P .. 'i:' .. kind, 0, key)\n"                  \
	"  else\n"                                                             \
	"    redis.call('DEL', P .. 'r:' .. id)\n"                             \
	"    redis.call('ZREM', P .. 'i:' .. kind, key)\n"                     \
	"  end\n"                                                              \
	"  if ARGV[a] == 'p' and expires ~= '0' then\n"                        \
	"    redis.call('ZADD', P .. 'expires', expires, id)\n"                \
	"  else\n"                                                             \
	"    redis.call('ZREM', P .. 'expires', id)\n"                         \
	"  end\n"                                                              \
	"  if n then redis.call('ZADD', P .. 'log', n, n .. ' ' .. id) end\n"  \
	"end\n"

const char store_redis_script_write[] =
	"local P, now, run = '" STORE_REDIS_KEYS "', tonumber(ARGV[1]), ARGV[2]\n" SCRIPT_KEEP
	"local function over(x) x = tonumber(x) return x ~= 0 and x <= now end\n"
	"local function text(n) return string.format('%.0f', n) end\n"
	"local last, was = 0, redis.call('GET', KEYS[1])\n"
	"if was then\n"
	"  local schema, by, n = string.match(was, '^(%d+) (%S+) (%d+)$')\n"
	"  if schema ~= '1' then return redis.error_reply('KAREZ another schema') end\n"
	"  last = tonumber(n)\n"
	"  if by ~= run then last = last + 1000000 end\n"
	"end\n"
	"local from = was and string.match(was, '(%d+)$')\n"
	"local jumped = from and tonumber(from) ~= last\n"
	"local seen, out, puts, numbers = {}, {0}, false, {}\n"
	"for a = 3, #ARGV, 6 do\n"
	"  local id = ARGV[a + 1] .. '/' .. ARGV[a + 2]\n"
	"  local is = seen[id]\n"
	"  if not is then\n"
	"    local head = redis.call('GETRANGE', P .. 'r:' .. id, 0, 41)\n"
	"    is = '0'\n"
	"    if head ~= '' then\n"
	"      local v, x = string.match(head, '^(%d+) (%d+) ')\n"
	"      if not v then return redis.error_reply('KAREZ a damaged record') end\n"
	"      if not over(x) then is = v end\n"
	"    end\n"
	"  end\n"
	"  if ARGV[a + 3] ~= 'any' and ARGV[a + 3] ~= is then return {1, (a - 3) / 6} end\n"
	"  last = last + 1\n"
	"  numbers[#out] = text(last)\n"
	"  if ARGV[a] == 'p' then\n"
	"    puts = true\n"
	"    seen[id] = over(ARGV[a + 4]) and '0' or text(last)\n"
	"    out[#out + 1] = last\n"
	"  else\n"
	"    seen[id] = '0'\n"
	"    out[#out + 1] = tonumber(is)\n"
	"  end\n"
	"end\n"
	"local function sweep(n)\n"
	"  local ids = redis.call('ZRANGEBYSCORE', P .. 'expires', '-inf', now, 'LIMIT', 0, n)\n"
	"  for _, id in ipairs(ids) do\n"
	"    local slash = string.find(id, '/', 1, true)\n"
	"    redis.call('DEL', P .. 'r:' .. id)\n"
	"    redis.call('ZREM', P .. 'i:' .. string.sub(id, 1, slash - 1),\n"
	"               string.sub(id, slash + 1))\n"
	"    redis.call('ZREM', P .. 'expires', id)\n"
	"  end\n"
	"end\n"
	"local logs, first = true, redis.pcall('SET', KEYS[1], '1 ' .. run .. ' ' .. text(last))\n"
	/* what makes room must always do: nobody is told of it then, and everybody of that */
	"if not puts and type(first) == 'table' and first.err and\n"
	"   string.find(first.err, 'OOM', 1, true) then\n"
	"  logs, first = false, redis.pcall('DEL', P .. 'r:' .. ARGV[4] .. '/' .. ARGV[5])\n"
	"end\n"
	"if type(first) == 'table' and first.err then\n"
	"  if string.find(first.err, 'OOM', 1, true) then sweep(64) end\n"
	"  return first\n"
	"end\n"
	"if logs and jumped then\n"
	"  redis.call('LPUSH', P .. 'breaks', from .. ' ' .. text(tonumber(from) + 1000000))\n"
	"  redis.call('LTRIM', P .. 'breaks', 0, 15)\n"
	"end\n"
	"for a = 3, #ARGV, 6 do\n"
	"  local i = (a - 3) / 6 + 1\n"
	"  keep(a, text(out[i + 1]), logs and numbers[i])\n"
	"end\n"
	"if logs then\n"
	"  redis.call('ZREMRANGEBYRANK', P .. 'log', 0, -1 - " SCRIPT_TEXT(
		STORE_LOG_MAX) ")\n"
			       "else\n"
			       "  redis.call('DEL', P .. 'log')\n"
			       "end\n"
			       /* more than the batch can have added */
			       "sweep(16 + (#ARGV - 2) / 3)\n"
			       "return out\n";

const char store_redis_script_redo[] =
	"local P, run = '" STORE_REDIS_KEYS "', ARGV[1]\n" SCRIPT_KEEP
	"local function text(n) return string.format('%.0f', n) end\n"
	"local last, by, was = 0, '', redis.call('GET', KEYS[1])\n"
	"if was then\n"
	"  local schema, b, n = string.match(was, '^(%d+) (%S+) (%d+)$')\n"
	"  if schema ~= '1' then return redis.error_reply('KAREZ another schema') end\n"
	"  last, by = tonumber(n), b\n"
	"end\n"
	"local top, puts = 0, false\n"
	"for a = 2, #ARGV, 6 do\n"
	"  if ARGV[a] == 'p' then puts, top = true, math.max(top, tonumber(ARGV[a + 3])) end\n"
	"end\n"
	"local function lost(v)\n"
	"  if v > last then return true end\n"
	"  for _, gap in ipairs(redis.call('LRANGE', P .. 'breaks', 0, -1)) do\n"
	"    local from, to = string.match(gap, '^(%d+) (%d+)$')\n"
	"    if from and v > tonumber(from) and v <= tonumber(to) then return true end\n"
	"  end\n"
	"  return false\n"
	"end\n"
	"if puts and not lost(top) then return 0 end\n"
	"local todo = {}\n"
	"for a = 2, #ARGV, 6 do\n"
	"  local id, v = ARGV[a + 1] .. '/' .. ARGV[a + 2], tonumber(ARGV[a + 3])\n"
	"  local head = redis.call('GETRANGE', P .. 'r:' .. id, 0, 41)\n"
	"  local is = tonumber(string.match(head, '^(%d+) ') or 0)\n"
	"  if ARGV[a] == 'p' then\n"
	"    if is > v then return 2 end\n"
	"    if is < v then todo[#todo + 1] = a end\n"
	"  elseif is > 0 and is == v then\n"
	"    todo[#todo + 1] = a\n"
	"  end\n"
	"end\n"
	"if #todo == 0 then return 0 end\n"
	/* no version above may be given again */
	"if by ~= run or top > last then\n"
	"  local to = math.max(last, top) + 1000000\n"
	"  redis.call('SET', KEYS[1], '1 ' .. run .. ' ' .. text(to))\n"
	"  redis.call('LPUSH', P .. 'breaks', text(last) .. ' ' .. text(to))\n"
	"  redis.call('LTRIM', P .. 'breaks', 0, 15)\n"
	"end\n"
	"for _, a in ipairs(todo) do\n"
	"  keep(a, ARGV[a + 3])\n"
	"end\n"
	"redis.call('DEL', P .. 'log')\n" /* it does not tell of these */
	"return 1\n";

const char store_redis_script_changes[] =
	"local after, limit = ARGV[1], tonumber(ARGV[2])\n"
	"if after == '0' then return {0, redis.call('ZREVRANGE', KEYS[1], 0, 0)[1]} end\n"
	"if redis.call('ZCOUNT', KEYS[1], after, after) == 0 then return {2} end\n"
	"local out = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. after, '+inf',\n"
	"                       'LIMIT', 0, limit + 1)\n"
	"local more = #out > limit and 1 or 0\n"
	"out[limit + 1] = nil\n"
	"table.insert(out, 1, more)\n"
	"return out\n";

const char store_redis_script_list[] =
	"local P, now, kind, after = '" STORE_REDIS_KEYS "', tonumber(ARGV[1]), ARGV[2], ARGV[3]\n"
	"local limit, room = tonumber(ARGV[4]), tonumber(ARGV[5])\n"
	"local out, n, bytes = {0}, 0, 0\n"
	"local from = after == '' and '-' or '(' .. after\n"
	"while true do\n"
	"  local keys = redis.call('ZRANGEBYLEX', KEYS[1], from, '+', 'LIMIT', 0, 32)\n"
	"  if #keys == 0 then return out end\n"
	"  local names = {}\n"
	"  for i, key in ipairs(keys) do names[i] = P .. 'r:' .. kind .. '/' .. key end\n"
	"  local recs = redis.call('MGET', unpack(names))\n"
	"  for i, key in ipairs(keys) do\n"
	"    local rec = recs[i]\n"
	"    local x = rec and string.match(rec, '^%d+ (%d+) ')\n"
	"    if rec and not x then return redis.error_reply('KAREZ a damaged record') end\n"
	"    x = tonumber(x or 1)\n"
	"    if x == 0 or x > now then\n"
	"      if n == limit or bytes >= room then out[1] = 1 return out end\n"
	"      n, bytes = n + 1, bytes + #key + #rec\n"
	"      out[#out + 1] = key\n"
	"      out[#out + 1] = rec\n"
	"    end\n"
	"  end\n"
	"  from = '(' .. keys[#keys]\n"
	"end\n";

const char store_redis_script_beat[] =
	"local P, verb, id, lease = '" STORE_REDIS_NODE "', ARGV[1], ARGV[2], tonumber(ARGV[3])\n"
	"local t = redis.call('TIME')\n"
	"local now, why = t[1] * 1000 + math.floor(t[2] / 1000), ''\n"
	"local function try(...)\n"
	"  local r = why == '' and redis.pcall(...)\n"
	"  if type(r) == 'table' and r.err then why = r.err end\n"
	"end\n"
	"if verb == 'beat' then\n"
	"  try('SET', KEYS[2], ARGV[5], 'PX', lease)\n"
	"  try('ZADD', KEYS[1], now, id)\n"
	"  try('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - lease)\n"
	"elseif verb == 'bye' then\n"
	"  try('DEL', KEYS[2])\n"
	"  try('ZREM', KEYS[1], id)\n"
	"end\n"
	"if verb ~= 'look' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end\n"
	"local out = {why}\n"
	"if verb == 'bye' then return out end\n"
	"local ids = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', now - lease, 'LIMIT', 0,\n"
	"                       tonumber(ARGV[6]))\n"
	"for _, one in ipairs(ids) do\n"
	"  local head = redis.call('GETRANGE', P .. one, 0, tonumber(ARGV[7]) - 1)\n"
	"  if head ~= '' then out[#out + 1] = head end\n"
	"end\n"
	"return out\n";
