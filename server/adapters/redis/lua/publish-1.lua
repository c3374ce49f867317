-- Appends events of one session to its history and publishes them, unless a newer grant has written.
-- Leaves out what the history has already, so publishing again after an unknown outcome changes nothing.
--   KEYS[1]  stream of the session: entries {t = token, r = run, f = first runSeq, l = last runSeq, p = packed events}
--   ARGV[1]  channel of the tenant
--   ARGV[2]  entries to keep, about
--   ARGV[3]  milliseconds after which the history of a quiet session is dropped
--   ARGV[4..] per segment (events of one run under one token, in order): token, run, header (JSON),
--            number of events n, then n times: runSeq, event (JSON)
--   returns  1 when published (or nothing was new), 0 when a newer token has written
local history, channel = KEYS[1], ARGV[1]

local function fieldsOf(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  return fields
end

local newest = redis.call("XREVRANGE", history, "+", "-", "COUNT", 1)[1]
newest = newest and fieldsOf(newest)

-- Last runSeq kept of the run under the token. A token is granted for one run, so the newest entry tells nearly
-- always; the look further back ends with the entries of that token.
local function lastKept(token, run)
  if not newest or tonumber(newest.t) < token then return 0 end
  if newest.r == run then return tonumber(newest.l) end
  local upto = "+"
  while true do
    local page = redis.call("XREVRANGE", history, upto, "-", "COUNT", 20)
    for _, entry in ipairs(page) do
      local fields = fieldsOf(entry)
      if tonumber(fields.t) < token then return 0 end
      if fields.r == run then return tonumber(fields.l) end
      upto = "(" .. entry[1]
    end
    if #page == 0 then return 0 end
  end
end

local segments, i = {}, 4
while i <= #ARGV do
  local segment = { token = tonumber(ARGV[i]), run = ARGV[i + 1], header = ARGV[i + 2], at = i + 4, n = tonumber(ARGV[i + 3]) }
  segments[#segments + 1] = segment
  i = segment.at + 2 * segment.n
end

local kept = newest and tonumber(newest.t) or 0
local fenced = true
for _, segment in ipairs(segments) do fenced = fenced and segment.token < kept end
if fenced then return 0 end

for _, segment in ipairs(segments) do
  if segment.token >= kept then
    kept = segment.token
    local last = lastKept(segment.token, segment.run)
    local fresh, first = {}, nil
    for k = 0, segment.n - 1 do
      local runSeq = tonumber(ARGV[segment.at + 2 * k])
      if runSeq > last then
        fresh[#fresh + 1] = ARGV[segment.at + 2 * k + 1]
        first, last = first or runSeq, runSeq
      end
    end
    if first then
      local packed = '{"h":' .. segment.header .. ',"e":[' .. table.concat(fresh, ",") .. "]}"
      local token = string.format("%.0f", segment.token)
      redis.call("XADD", history, "MAXLEN", "~", ARGV[2], "*", "t", token, "r", segment.run,
        "f", string.format("%.0f", first), "l", string.format("%.0f", last), "p", packed)
      newest = { t = token, r = segment.run, l = last }
      redis.call("PUBLISH", channel, "e" .. packed)
    end
  end
end
redis.call("PEXPIRE", history, ARGV[3])
return 1
