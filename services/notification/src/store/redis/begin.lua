-- The last check before the receiver, for each of some digests: 'go', 'again' (an earlier attempt ended without an answer, so
-- this one may be a second mail), 'lost' (another owner has it) or 'ended' (the subscription is not active, or takes nothing
-- on this channel).
-- KEYS of each: delivery, subscriber. ARGV of each: owner, now, end of the lease, code of the channel.
local function begin(delivery, subscriber, owner, now, lease, channel)
  local known = redis.call('HMGET', delivery, 'owner', 'state', 'unknown')
  local state = known[2]
  if known[1] ~= owner or (state ~= 'intended' and state ~= 'sending') then return 'lost' end
  local reader = redis.call('HMGET', subscriber, 'state', 'channels')
  if reader[1] ~= 'active' or not string.find(reader[2] or 'm', channel, 1, true) then return 'ended' end
  redis.call('HSET', delivery, 'state', 'sending', 'lease', lease, 'at', now)
  if not known[3] then return 'go' end
  -- The same owner only asks twice when the answer was lost.
  if state == 'intended' then redis.call('HINCRBY', delivery, 'resent', 1) end
  return 'again'
end
local answers = {}
for i = 0, #KEYS / 2 - 1 do
  local k, a = 2 * i, 4 * i
  -- One that fails takes no other along.
  local done, answer = pcall(begin, KEYS[k + 1], KEYS[k + 2], unpack(ARGV, a + 1, a + 4))
  answers[i + 1] = done and answer or 'failed: ' .. (type(answer) == 'table' and answer.err or answer)
end
return answers
