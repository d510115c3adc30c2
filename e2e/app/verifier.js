// What an app serves at its `cross_origin_loc`. The domain is the one that frames it.
const domain = new URL(decodeURIComponent(location.hash.slice('#origin='.length))).host;
new window.auth0.WebAuth({ domain, clientID: 'any' }).crossOriginVerification();
