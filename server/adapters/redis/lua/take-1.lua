-- Takes one request from a tenant's buckets, if there is one and the tenant is not out of tokens.
-- A bucket holds as much as a minute allows and fills evenly, by the clock of Redis; without a limit there is none.
--   KEYS[1]  hash of the tenant's buckets: rl, rm, tl, tm: level and limit of requests and tokens; at: time of the levels
--   ARGV[1]  requests a minute, or "" for no limit
--   ARGV[2]  tokens a minute, or ""
--   returns  0 when taken; else 1 (requests) or 2 (tokens), and the milliseconds until the bucket has one again
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call("HMGET", KEYS[1], "rl", "tl", "at")
local passed = math.max(0, now - (tonumber(known[3]) or now))
local function level(old, limit)
  return math.min(limit, (tonumber(old) or limit) + passed * limit / 60000)
end
local function wait(held, limit)
  return math.ceil((1 - held) * 60000 / limit)
end
local requests, tokens = tonumber(ARGV[1]), tonumber(ARGV[2])
local held = requests and level(known[1], requests)
local left = tokens and level(known[2], tokens)
local answer = { 0, 0 }
if left and left < 1 then
  answer = { 2, wait(left, tokens) }
elseif held and held < 1 then
  answer = { 1, wait(held, requests) }
elseif held then
  held = held - 1
end
redis.call("DEL", KEYS[1])
if held then redis.call("HSET", KEYS[1], "rl", tostring(held)) end
if left then redis.call("HSET", KEYS[1], "tl", tostring(left), "tm", tokens) end
if held or left then
  redis.call("HSET", KEYS[1], "at", now)
  -- Long enough for the longest run that begins now to be charged at its end.
  redis.call("PEXPIRE", KEYS[1], 3600000)
end
return answer
