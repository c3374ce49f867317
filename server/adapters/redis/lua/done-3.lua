-- @include pool.lua
-- Takes delivered sessions out of the queue, and admits the next of their lanes.
-- A session that was enqueued while it was taken goes in again, behind its lane's backlog. A receipt that is not
-- the session's newest (done before, reclaimed, or given out before a flush) changes nothing: no count can go wrong.
--   KEYS      as in pool.lua
--   ARGV      per delivery: tenant, session key, receipt (id of its entry), widths of the tenant (JSON)
--   returns   how many of the receipts were valid
local valid = 0
for i = 1, #ARGV, 4 do
  local tenant, key, receipt, widths = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  redis.call("XACK", stream, GROUP, receipt)
  redis.call("XDEL", stream, receipt)
  local kind, entry, lane, again = look(tenant, key)
  if kind == "a" and entry == receipt then
    valid = valid + 1
    redis.call("HDEL", state, sessionField(tenant, key))
    if redis.call("HINCRBY", state, laneField(tenant, lane), -1) <= 0 then
      redis.call("HDEL", state, laneField(tenant, lane))
    end
    promote(tenant, lane, widthOf(widths, lane))
    if again ~= "-" then add(tenant, again, key, widthOf(widths, again)) end
  end
end
return valid
