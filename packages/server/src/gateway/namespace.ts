/** The namespace of the gateway's keys. Several gateways on one store share it: they are one. */
export const NAMESPACE = 'onceward'
