-- Takes tokens that were used from a tenant's bucket, also more than it holds. Does nothing where there is none.
--   KEYS[1]  as in take-1.lua
--   ARGV[1]  tokens
local known = redis.call("HMGET", KEYS[1], "tl", "tm", "at", "rl")
if not known[1] then return end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- The level stays one of the time `at`, to which that of the requests belongs as well.
local room = math.max(0, now - known[3]) * known[2] / 60000
local held = math.min(tonumber(known[2]), known[1] + room)
redis.call("HSET", KEYS[1], "tl", tostring(held - room - ARGV[1]))
