-- Keeps a request to subscribe. Where all of them would take more bytes than the budget, the oldest make room. Answers how
-- many bytes they take, and the ids of those that made room; nothing changes where the request is known.
-- KEYS: all requests by their ends, bytes of all, the request, requests of the mailbox. ARGV: id, hash of the mailbox, bytes,
-- end in ms, now in ms, budget, the request, and what the keys of requests and of mailboxes begin with.
local id, mailbox, size, ends, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local function forget(member)
  local id, mailbox, size = string.match(member, '^(%S+) (%S+) (%d+)$')
  redis.call('ZREM', KEYS[1], member)
  redis.call('DECRBY', KEYS[2], size)
  redis.call('DEL', ARGV[8] .. id)
  redis.call('SREM', ARGV[9] .. mailbox, id)
  return id
end
if redis.call('EXISTS', KEYS[3]) == 1 then return {tonumber(redis.call('GET', KEYS[2]) or '0'), {}} end
-- A few at a time: more than one goes for each that comes.
for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)) do forget(over) end
local used, forgotten = tonumber(redis.call('GET', KEYS[2]) or '0'), {}
while used + size > tonumber(ARGV[6]) do
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
  if not oldest then break end
  forgotten[#forgotten + 1] = forget(oldest)
  used = tonumber(redis.call('GET', KEYS[2]))
end
local left = math.max(1, ends - now)
redis.call('SET', KEYS[3], ARGV[7], 'PX', left)
redis.call('ZADD', KEYS[1], ends, id .. ' ' .. mailbox .. ' ' .. ARGV[3])
redis.call('SADD', KEYS[4], id)
if redis.call('PTTL', KEYS[4]) < left then redis.call('PEXPIRE', KEYS[4], left) end
return {redis.call('INCRBY', KEYS[2], size), forgotten}
