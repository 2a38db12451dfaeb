-- Ends a request to subscribe: leaves a mark in its place until its time is up, or nothing.
-- KEYS: all requests by their ends, bytes of all, the request, requests of the mailbox. ARGV: id, hash of the mailbox, bytes,
-- how long the mark stays in ms, the mark or ''.
if redis.call('ZREM', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]) == 1 then redis.call('DECRBY', KEYS[2], ARGV[3]) end
if ARGV[5] == '' then
  redis.call('DEL', KEYS[3])
  redis.call('SREM', KEYS[4], ARGV[1])
else
  redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[4])
end
return 1
