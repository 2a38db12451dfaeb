-- Leases digests and fixes their papers, at the first attempt for all later ones. Papers that are fixed on the other
-- channel are taken.
-- Answers for each 'go', 'busy' (leased to another owner, or to a later one before) or 'done', and the papers where they
-- were fixed before, on either channel.
-- KEYS of each: delivery, deliveries, the delivery on the other channel.
-- ARGV of each: owner, epoch, now, end of the lease, papers, message id, slot, how long records are kept (ms).
local KNOWN = {intended = 1, sending = 1, sent = 1, failed = 1, empty = 1, deferred = 1, expired = 1}
local function lease_one(delivery, deliveries, beside, owner, epoch, now, lease, papers, message_id, slot, kept)
  local known = redis.call('HMGET', delivery, 'state', 'owner', 'epoch', 'lease', 'begun', 'papers')
  local state, known_lease = known[1], tonumber(known[4] or '0')
  -- What a later version wrote may say that it was sent.
  if state and not KNOWN[state] then error('state is "' .. state .. '"') end
  if state == 'sent' or state == 'failed' then return {'done', ''} end
  local held = (state == 'intended' or state == 'sending') and known[2] ~= owner
  if tonumber(known[3] or '0') > tonumber(epoch) or (held and known_lease > tonumber(now)) then return {'busy', ''} end
  local fixed = known[6] or redis.call('HGET', beside, 'papers')
  redis.call('HSET', delivery, 'state', 'intended', 'owner', owner, 'epoch', epoch, 'lease', lease, 'message_id', message_id,
    'at', now, 'begun', known[5] or now, 'papers', fixed or papers)
  redis.call('ZADD', deliveries, slot, slot)
  redis.call('PEXPIRE', delivery, kept)
  redis.call('PEXPIRE', deliveries, kept)
  if state == 'sending' then redis.call('HSET', delivery, 'unknown', '1') end
  return {'go', fixed or ''}
end
local answers = {}
for i = 0, #KEYS / 3 - 1 do
  local k, a = 3 * i, 8 * i
  -- One that fails takes no other along.
  local done, answer = pcall(lease_one, KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], unpack(ARGV, a + 1, a + 8))
  answers[i + 1] = done and answer or 'failed: ' .. (type(answer) == 'table' and answer.err or answer)
end
return answers
