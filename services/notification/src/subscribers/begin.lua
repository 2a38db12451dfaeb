-- The last look before the mail server, for each of some editions: 'go', 'again' (an earlier attempt ended without a word, so
-- this one may be a second mail), 'lost' (another owner has it) or 'ended' (the subscription is not active).
-- KEYS of each: delivery, subscriber. ARGV of each: owner, now, end of the lease.
local function begin(delivery, subscriber, owner, now, lease)
  local known = redis.call('HMGET', delivery, 'owner', 'state', 'unknown')
  local state = known[2]
  if known[1] ~= owner or (state ~= 'intended' and state ~= 'sending') then return 'lost' end
  if redis.call('HGET', subscriber, 'state') ~= 'active' then return 'ended' end
  redis.call('HSET', delivery, 'state', 'sending', 'lease', lease, 'at', now)
  if not known[3] then return 'go' end
  -- The same owner only asks twice when the answer was lost.
  if state == 'intended' then redis.call('HINCRBY', delivery, 'resent', 1) end
  return 'again'
end
local answers = {}
for i = 0, #KEYS / 2 - 1 do
  local k, a = 2 * i, 3 * i
  -- One that fails takes no other along.
  local done, answer = pcall(begin, KEYS[k + 1], KEYS[k + 2], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
  answers[i + 1] = done and answer or 'failed: ' .. (type(answer) == 'table' and answer.err or answer)
end
return answers
