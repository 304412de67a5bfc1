/**
 * Reduces a `Content-Type` to what tells two bodies apart: type and subtype in lower case, and a charset other than
 * UTF-8. Other parameters (the boundary of a multipart body) are repeated in the body or mean nothing.
 */
export function essentialMediaType(contentType: string | undefined): string {
  if (contentType === undefined) return ''
  const [essence = '', ...parameters] = contentType.toLowerCase().split(';')
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=')
    const charset = value.trim().replaceAll('"', '')
    if (name.trim() === 'charset' && charset !== 'utf-8' && charset !== 'utf8' && charset !== '') {
      return `${essence.trim()};charset=${charset}`
    }
  }
  return essence.trim()
}

/** Tells whether a media type of {@link essentialMediaType} is JSON, `application/problem+json` and its like included. */
export function isJsonType(mediaType: string): boolean {
  const [essence = ''] = mediaType.split(';')
  return essence === 'application/json' || essence.endsWith('+json')
}
