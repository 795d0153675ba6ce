// What every program is told, and when it may end: it sends, then lives on until its standard input is closed.
export const TARGET = process.env.TARGET
export const TOKEN = process.env.TOKEN
export const PLAN = process.env.PLAN
export const NUMBERS = [...Array(Number(process.env.EVENTS)).keys()]
export const ended = new Promise((resolve) => process.stdin.on('end', resolve).resume())

process.on('unhandledRejection', (error) => console.error(`unhandled: ${error}`))
