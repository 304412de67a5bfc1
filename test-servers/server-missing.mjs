/** Says that a server cannot be had here; its message names what is missing. */
export class ServerMissing extends Error {
  constructor(server, reason) {
    super(`${server} cannot be had: ${reason}`)
    this.name = 'ServerMissing'
    this.server = server
    this.reason = reason
  }
}
