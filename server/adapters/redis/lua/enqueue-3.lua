-- @include pool.lua
-- Puts sessions into the pool's queue, each at most once.
-- One that is admitted and not yet taken, or in the backlog, stays where it is. One that a worker has taken is
-- marked, and `done` adds it again: its worker may have looked at the ledger before the new run was there.
--   KEYS      as in pool.lua
--   ARGV[1]   epoch to set where the queue is empty or was lost
--   ARGV[2..] per session: tenant, session key, lane, widths of the tenant (JSON)
--   returns   flat, per session: 1 when added or else 0; the tenant's backlog after the call
local delivered = open(ARGV[1])
local answer = {}
for i = 2, #ARGV, 4 do
  local tenant, key, lane, widths = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local kind, place, itsLane = look(tenant, key)
  if not kind then
    add(tenant, lane, key, widthOf(widths, lane))
  elseif kind == "b" then
    -- Changes something only where the backlog was lost without the rest.
    redis.call("ZADD", backlog, 0, tenant .. ":" .. itsLane .. ":" .. place .. ":" .. key)
  elseif not isAbove(place, delivered) then
    redis.call("HSET", state, sessionField(tenant, key), "a " .. place .. " " .. itsLane .. " " .. lane)
  end
  answer[#answer + 1] = kind and 0 or 1
  answer[#answer + 1] = tenant
end
local backlogs = {}
for i = 2, #answer, 2 do
  local tenant = answer[i]
  backlogs[tenant] = backlogs[tenant]
    or redis.call("ZLEXCOUNT", backlog, "[" .. tenant .. ":", "(" .. tenant .. ";")
  answer[i] = backlogs[tenant]
end
return answer
