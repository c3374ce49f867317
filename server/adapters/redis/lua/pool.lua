-- Shared by the scripts of the run queue; `-- @include pool.lua` puts this text in their place (scripts.ts).
--   KEYS[1]  stream: admitted sessions {t = tenant, s = session key, l = lane}, read by the group `workers`
--   KEYS[2]  hash:   epoch            random name of this content
--                    seq              last position given in the backlog
--                    l:TENANT:LANE    admitted sessions of the lane
--                    s:TENANT:KEY     "a ENTRY LANE AGAIN" admitted; AGAIN is a lane, or "-"
--                                     "b POSITION LANE -"  in the backlog
--   KEYS[3]  sorted set, all scores 0: the backlogs, members "TENANT:LANE:POSITION:KEY"
-- Tenants and lanes hold no colon, and session keys come last, so every name can be taken apart again.
local stream, state, backlog = KEYS[1], KEYS[2], KEYS[3]
local GROUP = "workers"

-- The three keys are whole or are thrown away whole: where the stream, its group or the hash is missing (flush,
-- eviction), the rest would name sessions that nobody will ever deliver. Answers the group's last delivered id.
local function open(epoch)
  if redis.call("HEXISTS", state, "epoch") == 1 then
    local groups = redis.pcall("XINFO", "GROUPS", stream)
    for _, group in ipairs(groups) do
      local last, ours
      for i = 1, #group, 2 do
        if group[i] == "name" then ours = group[i + 1] == GROUP end
        if group[i] == "last-delivered-id" then last = group[i + 1] end
      end
      if ours then return last end
    end
  end
  redis.call("UNLINK", stream, state, backlog)
  redis.call("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")
  redis.call("HSET", state, "epoch", epoch)
  return "0-0"
end

local function laneField(tenant, lane) return "l:" .. tenant .. ":" .. lane end
local function sessionField(tenant, key) return "s:" .. tenant .. ":" .. key end

-- What is known of a session: kind ("a", "b" or nil), entry or position, lane, again.
local function look(tenant, key)
  local value = redis.call("HGET", state, sessionField(tenant, key))
  if not value then return nil end
  return string.match(value, "^(%S+) (%S+) (%S+) (%S+)$")
end

-- The entry comes first: a Redis that is out of memory refuses it before anything else has changed.
local function admit(tenant, lane, key)
  local entry = redis.call("XADD", stream, "*", "t", tenant, "s", key, "l", lane)
  redis.call("HSET", state, sessionField(tenant, key), "a " .. entry .. " " .. lane .. " -")
end

local function firstWaiting(tenant, lane)
  local from = tenant .. ":" .. lane
  return redis.call("ZRANGEBYLEX", backlog, "[" .. from .. ":", "(" .. from .. ";", "LIMIT", 0, 1)[1]
end

-- Admits from the front of the lane's backlog while the lane has width left.
local function promote(tenant, lane, width)
  local count = tonumber(redis.call("HGET", state, laneField(tenant, lane)) or "0")
  while count < width do
    local member = firstWaiting(tenant, lane)
    if not member then break end
    admit(tenant, lane, string.match(member, "^[^:]*:[^:]*:[^:]*:(.*)$"))
    count = redis.call("HINCRBY", state, laneField(tenant, lane), 1)
    redis.call("ZREM", backlog, member)
  end
  return count
end

-- Puts a session that is not in the queue into it: admitted, or behind the backlog of its lane.
local function add(tenant, lane, key, width)
  if promote(tenant, lane, width) < width then
    admit(tenant, lane, key)
    redis.call("HINCRBY", state, laneField(tenant, lane), 1)
    return
  end
  local position = string.format("%016d", redis.call("HINCRBY", state, "seq", 1))
  redis.call("ZADD", backlog, 0, tenant .. ":" .. lane .. ":" .. position .. ":" .. key)
  redis.call("HSET", state, sessionField(tenant, key), "b " .. position .. " " .. lane .. " -")
end

-- Widths come as JSON, {"main": 4, ...}; few different ones in a batch.
local decoded = {}
local function widthOf(widths, lane)
  decoded[widths] = decoded[widths] or cjson.decode(widths)
  return math.max(1, decoded[widths][lane] or 1)
end

-- True when stream id a is above b.
local function isAbove(a, b)
  local aMs, aSeq = string.match(a, "^(%d+)-(%d+)$")
  local bMs, bSeq = string.match(b, "^(%d+)-(%d+)$")
  aMs, bMs = tonumber(aMs), tonumber(bMs)
  return aMs > bMs or (aMs == bMs and tonumber(aSeq) > tonumber(bSeq))
end
