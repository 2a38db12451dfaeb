-- Records how attempts ended. Answers 1 for each, also when it was recorded before; 0 where the record belongs to somebody
-- else by now; 2 where there is no record any more and the papers are needed for a new one. A mail that was taken is recorded
-- whoever owns the record: it must not be sent again.
-- KEYS of each: delivery, deliveries, seen, due, the delivery on the other channel.
-- ARGV of each: id, slot, owner, epoch, state, detail, now, message id, papers or '' for those on record, due or '',
-- 'unknown', 'untried' or '', papers sent (packed, see `seen`) or '', minutes before which those are forgotten, how long records
-- are kept (ms).
local function remember(seen, packed, old, kept)
  local size, gone = redis.call('APPEND', seen, packed), 0
  while gone < size and struct.unpack('>I4', redis.call('GETRANGE', seen, gone + 8, gone + 11)) < old do
    gone = gone + 12
  end
  if gone > 0 then redis.call('SET', seen, redis.call('GETRANGE', seen, gone, -1)) end
  redis.call('PEXPIRE', seen, kept)
end
local function settle(delivery, deliveries, seen, due_set, beside, id, slot, owner, epoch, ending, detail, now, message_id,
    papers, due, effect, packed, old, kept)
  local known = redis.call('HMGET', delivery, 'state', 'owner', 'epoch', 'at', 'settler')
  local state, known_epoch = known[1], tonumber(known[3] or '0')
  if state == ending and known[4] == now and known[5] == owner then return 1 end
  if state == 'sent' then return 0 end
  if not state and ending == 'sent' and papers == '' then return 2 end
  local leased = state == 'intended' or state == 'sending'
  if ((leased and known[2] ~= owner) or known_epoch > tonumber(epoch)) and ending ~= 'sent' then return 0 end
  redis.call('HSET', delivery, 'state', ending, 'detail', detail, 'at', now, 'message_id', message_id, 'settler', owner,
    'epoch', math.max(known_epoch, tonumber(epoch)))
  redis.call('HDEL', delivery, 'owner', 'lease')
  if ending == 'empty' then redis.call('HDEL', delivery, 'papers') end
  if papers ~= '' then redis.call('HSET', delivery, 'papers', papers) end
  if ending == 'deferred' then
    if effect ~= 'untried' then redis.call('HINCRBY', delivery, 'attempts', 1) end
    redis.call('HSETNX', delivery, 'begun', now)
  end
  if effect == 'unknown' then redis.call('HSET', delivery, 'unknown', '1') end
  if due ~= '' then redis.call('ZADD', due_set, 'XX', due, id) end
  -- Whoever leased it has entered it.
  if not leased then
    redis.call('ZADD', deliveries, slot, slot)
    redis.call('PEXPIRE', delivery, kept)
    redis.call('PEXPIRE', deliveries, kept)
  end
  redis.call('ZREMRANGEBYSCORE', deliveries, '-inf', tonumber(slot) - tonumber(kept))
  -- What went out on the other channel is remembered already.
  if packed ~= '' and redis.call('HGET', beside, 'state') ~= 'sent' then remember(seen, packed, tonumber(old), kept) end
  return 1
end
local answers = {}
for i = 0, #KEYS / 5 - 1 do
  local k, a = 5 * i, 14 * i
  -- One that fails takes no other along.
  local done, answer = pcall(settle, KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4], KEYS[k + 5],
    unpack(ARGV, a + 1, a + 14))
  answers[i + 1] = done and answer or 'failed: ' .. (type(answer) == 'table' and answer.err or answer)
end
return answers
