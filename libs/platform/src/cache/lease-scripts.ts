import type { Redis } from 'ioredis';

// Leases stand in Redis as cache-manager would write and read them: a text of JSON in a text of JSON. A mark is `!` and, for
// each change under way, an id and when it ends, by the clock of Redis: a change that never ends must not last as long as
// others come.
const COMMON = String.raw`
local function tokenOf(key)
  local held = redis.pcall('GET', key)
  return type(held) == 'string' and string.match(held, '^"{\\"value\\":\\"([^"\\]+)\\"}"$')
end
local function store(key, token, ttl)
  return redis.pcall('SET', key, '"{\\"value\\":\\"' .. token .. '\\"}"', 'PX', ttl)
end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function othersOf(token, id, moment)
  local others, last = '', 0
  if not token or string.sub(token, 1, 1) ~= '!' then return others, last end
  for other, ends in string.gmatch(token, '(%S+)@(%d+)') do
    if other ~= id and tonumber(ends) > moment then
      others = others .. ' ' .. other .. '@' .. ends
      last = math.max(last, tonumber(ends))
    end
  end
  return others, last
end
`;

/** ARGV: a new token, and for each key how long it lasts. */
const TAKE = `${COMMON}
local tokens = {}
for place, key in ipairs(KEYS) do
  tokens[place] = tokenOf(key)
  if not tokens[place] then
    local stored = store(key, ARGV[1], ARGV[place + 1])
    if stored.err then return stored end
    tokens[place] = ARGV[1]
  end
end
return tokens`;

/** ARGV: an id, and how long its mark lasts. A Redis without memory for the mark is left without the lease. */
const MARK = `${COMMON}
local moment = now()
for _, key in ipairs(KEYS) do
  local others, last = othersOf(tokenOf(key), ARGV[1], moment)
  local ends = moment + ARGV[2]
  local mark = '!' .. others .. ' ' .. ARGV[1] .. '@' .. string.format('%.0f', ends)
  local stored = store(key, mark, string.format('%.0f', math.max(last, ends) - moment))
  if stored.err then redis.call('DEL', key) end
end`;

/** KEYS: the leases, then the values. ARGV: an id, and how many leases there are. */
const RELEASE = `${COMMON}
local moment = now()
local count = tonumber(ARGV[2])
for place, key in ipairs(KEYS) do
  local others, last = '', 0
  if place <= count then others, last = othersOf(tokenOf(key), ARGV[1], moment) end
  if others == '' or store(key, '!' .. others, string.format('%.0f', last - moment)).err then redis.call('DEL', key) end
end`;

/** The scripts as commands of a client; the number of keys comes first. */
export interface LeaseCommands {
  takeLeases(keys: number, ...args: string[]): Promise<string[]>;
  markLeases(keys: number, ...args: string[]): Promise<unknown>;
  releaseLeases(keys: number, ...args: string[]): Promise<unknown>;
}

/** Teaches a client the scripts; Redis has each of them once and runs it as one step. */
export function leaseCommands(client: Redis): LeaseCommands {
  client.defineCommand('takeLeases', { lua: TAKE });
  client.defineCommand('markLeases', { lua: MARK });
  client.defineCommand('releaseLeases', { lua: RELEASE });
  return client as unknown as LeaseCommands;
}
