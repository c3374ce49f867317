-- Appends events of sessions of one tenant to their histories and publishes them together; each session by itself is
-- refused when a newer grant has written to it.
-- Leaves out what a history has already, so publishing again after an unknown outcome changes nothing.
--   KEYS     streams of the sessions: entries {t = token, r = run, f = first runSeq, l = last runSeq, p = packed events}
--   ARGV[1]  channel of the tenant; a message is "e" and packed events, one to a line
--   ARGV[2]  entries to keep of a session, about
--   ARGV[3]  milliseconds after which the history of a quiet session is dropped
--   ARGV[4..] per session: how many of the following are its own, then per segment (events of one run under one token,
--            in order): token, run, header (JSON), number of events n, then n times: runSeq, event (JSON)
--   returns  per session: 1 when published (or nothing was new), 0 when a newer token has written
local channel, keep, expire = ARGV[1], ARGV[2], ARGV[3]
-- Lines of one message: few enough that no subscriber gets much at once.
local MESSAGE_BYTES = 65536

local heard, heardBytes = {}, 0
local function tell()
  if #heard > 0 then redis.call("PUBLISH", channel, "e" .. table.concat(heard, "\n")) end
  heard, heardBytes = {}, 0
end

local function fieldsOf(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  return fields
end

-- Last runSeq kept of the run under the token. A token is granted for one run, so the newest entry tells nearly
-- always; the look further back ends with the entries of that token.
local function lastKept(history, newest, token, run)
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

-- The events of ARGV from..upto.
local function publish(history, from, upto)
  local newest = redis.call("XREVRANGE", history, "+", "-", "COUNT", 1)[1]
  newest = newest and fieldsOf(newest)
  local kept = newest and tonumber(newest.t) or 0
  local fenced, i = true, from
  while i <= upto do
    local token, run, n = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 3])
    if token >= kept then
      fenced, kept = false, token
      local last = lastKept(history, newest, token, run)
      local fresh, first = {}, nil
      for k = i + 4, i + 3 + 2 * n, 2 do
        local runSeq = tonumber(ARGV[k])
        if runSeq > last then
          fresh[#fresh + 1] = ARGV[k + 1]
          first, last = first or runSeq, runSeq
        end
      end
      if first then
        local packed = '{"h":' .. ARGV[i + 2] .. ',"e":[' .. table.concat(fresh, ",") .. "]}"
        local exact = string.format("%.0f", token)
        redis.call("XADD", history, "MAXLEN", "~", keep, "*", "t", exact, "r", run,
          "f", string.format("%.0f", first), "l", string.format("%.0f", last), "p", packed)
        newest = { t = exact, r = run, l = last }
        heard[#heard + 1] = packed
        heardBytes = heardBytes + #packed
        if heardBytes > MESSAGE_BYTES then tell() end
      end
    end
    i = i + 4 + 2 * n
  end
  if fenced then return 0 end
  redis.call("PEXPIRE", history, expire)
  return 1
end

local answers, at = {}, 4
for place, history in ipairs(KEYS) do
  local count = tonumber(ARGV[at])
  -- A history that cannot be written to ends the call; what was kept before it must be heard, as nobody sends it again.
  local done, answer = pcall(publish, history, at + 1, at + count)
  if not done then
    tell()
    error(answer, 0)
  end
  answers[place] = answer
  at = at + 1 + count
end
tell()
return answers
